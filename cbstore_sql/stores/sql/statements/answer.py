"""The columns that a statement returns, and the function that completes a returned row to a whole answer.

Each returned column costs about a hundredth of an update, on the server and again in the client. So a statement does
not return columns whose values are constants, and does not return the same time twice. This module adds the missing
columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from cbstore_sql.core.model import ANSWER_COLUMNS, Row
from cbstore_sql.stores.sql.statements.statement import FLOAT, INTEGER, TEXT, WireType

_WIRE_TYPES = {str: TEXT, int: INTEGER, float: FLOAT}
_COLUMN_TYPES = {column: _WIRE_TYPES[type(getattr(Row(), column))] for column in ANSWER_COLUMNS}


@dataclass(frozen=True, slots=True)
class Answer:
    """Which columns a statement returns, and how to complete a returned row to a whole answer.

    A whole answer has all `ANSWER_COLUMNS` and then the clock. A statement leaves out columns whose values are known.

    Attributes:
        columns: The types of the columns that the database returns.
        picks: For each column of the whole answer, the position of its value in the returned columns followed by the
            constants. ``None`` if the returned row is the whole answer.
        constants: The values that the database does not return.
    """

    columns: tuple[WireType, ...] = ()
    picks: tuple[int, ...] | None = None
    constants: tuple[Any, ...] = ()

    @classmethod
    def whole(cls) -> Answer:
        """Describe the answer of a statement that returns all `ANSWER_COLUMNS` and then the clock."""
        return cls((*_COLUMN_TYPES.values(), FLOAT))

    @classmethod
    def without(cls, constants: Mapping[str, Any], moment: str | None) -> Answer:
        """Describe the answer of a statement that leaves out columns whose values are known in advance.

        Args:
            constants: The known values, by the name of the column.
            moment: The name of a returned column whose value is also the clock; ``None`` if the statement returns the
                clock as a separate column.
        """
        returned = [column for column in ANSWER_COLUMNS if column not in constants]
        types = tuple(_COLUMN_TYPES[column] for column in returned)
        places = {column: place for place, column in enumerate([*returned, *([] if moment else ["as_of"]), *constants])}
        picks = tuple(places[column] for column in (*ANSWER_COLUMNS, moment or "as_of"))
        return cls(types if moment else (*types, FLOAT), picks, tuple(constants.values()))

    def after(self, *types: WireType) -> Answer:
        """Describe the same answer with further columns in front. This `Answer` must not leave out any columns.

        Args:
            *types: The types of the further columns.
        """
        return Answer((*types, *self.columns))

    def completion(self, *, has_exact_types: bool) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
        """Return a function that makes the whole answer of a row that the database returned.

        Args:
            has_exact_types: Whether the database returns floats for all float columns. SQLite may return an integer for
                a float column that holds a whole number; then the function also converts the integer to a float.

        Returns:
            The function, which takes a row and returns the whole answer; ``None`` if the row is already the whole
            answer.
        """
        pick = None if self.picks is None else itemgetter(*self.picks)
        constants = self.constants
        if has_exact_types:
            return None if pick is None else lambda row: pick((*row, *constants))
        floats = [kind is FLOAT for kind in self.columns]

        def exact(row: Sequence[Any]) -> tuple[Any, ...]:
            values = [
                float(value) if is_float and value is not None else value
                for value, is_float in zip(row, floats, strict=True)
            ]
            return tuple(values) if pick is None else pick((*values, *constants))

        return exact
