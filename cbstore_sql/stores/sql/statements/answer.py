"""The columns that a statement returns, and how they become a whole answer.

A column costs about a hundredth of an update, on the server and again in the client. So a statement returns only what
its text does not determine: a constant is filled in here, and the time is not returned twice.
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
    """What a statement returns.

    Attributes:
        columns: The types of the columns that the database returns.
        picks: For each column of the whole answer: its place among the returned columns and, after them, the constants.
            ``None``: the answer is what the database returns.
        constants: The values that the database need not return.
    """

    columns: tuple[WireType, ...] = ()
    picks: tuple[int, ...] | None = None
    constants: tuple[Any, ...] = ()

    @classmethod
    def whole(cls) -> Answer:
        """Return an answer with `ANSWER_COLUMNS` and the clock, all from the database."""
        return cls((*_COLUMN_TYPES.values(), FLOAT))

    @classmethod
    def without(cls, constants: Mapping[str, Any], moment: str | None) -> Answer:
        """Return an answer in which some columns are constants.

        Args:
            constants: The constant columns, by name.
            moment: The column that holds the clock; ``None`` if the clock is returned by itself.
        """
        returned = [column for column in ANSWER_COLUMNS if column not in constants]
        types = tuple(_COLUMN_TYPES[column] for column in returned)
        places = {column: place for place, column in enumerate([*returned, *([] if moment else ["as_of"]), *constants])}
        picks = tuple(places[column] for column in (*ANSWER_COLUMNS, moment or "as_of"))
        return cls(types if moment else (*types, FLOAT), picks, tuple(constants.values()))

    def after(self, *types: WireType) -> Answer:
        """Return this answer behind further columns."""
        return Answer((*types, *self.columns))

    def completion(self, *, has_exact_types: bool) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
        """Return the function from a returned row to the whole answer; ``None`` if they are the same.

        Args:
            has_exact_types: Whether the database returns floats for columns of floats. SQLite returns a whole number if
                a column was set to one.
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
