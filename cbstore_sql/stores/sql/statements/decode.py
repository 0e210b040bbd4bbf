"""From a result row to what the store returns; shared by the sync and the async store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from cbstore_sql.core.model import ANSWER_COLUMNS, Row, Snapshot, State, Transition

_STATES = {state.value: state for state in State}
_UNWRITTEN = Row()

_AS_OF = len(ANSWER_COLUMNS)
_GENERATION, _PREVIOUS_STATE, _SCORE_GENERATION = (
    ANSWER_COLUMNS.index(column) for column in ("generation", "previous_state", "score_generation")
)
_SCORE = Snapshot._fields.index("score")


def _unchanged(value: Any) -> Any:
    return value


def _reader(field: str) -> Callable[[Any], Any]:
    if field == "state":
        return _STATES.__getitem__
    # SQLite's RETURNING gives a whole number if a REAL column was set to one.
    return float if isinstance(getattr(_UNWRITTEN, field, 0.0), float) else _unchanged


_SHOWN = Snapshot._fields[1:]
_shown = itemgetter(*(_AS_OF if field == "as_of" else ANSWER_COLUMNS.index(field) for field in _SHOWN))
_READERS = tuple(_reader(field) for field in _SHOWN)


def to_snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    """Decode the answer of a read: `ANSWER_COLUMNS`, all ``None`` if there is no row, then the clock."""
    if values[0] is None:
        return Snapshot.of(name, _UNWRITTEN, values[-1])
    return _snapshot(name, values)


def to_transition(name: str, values: Sequence[Any]) -> Transition:
    """Decode what an update returned: `ANSWER_COLUMNS`, then the clock."""
    return Transition(_STATES[values[_PREVIOUS_STATE]], _snapshot(name, values))


def _snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    shown = [name, *[read(value) for read, value in zip(_READERS, _shown(values), strict=True)]]
    if values[_SCORE_GENERATION] != values[_GENERATION]:
        shown[_SCORE] = 0.0
    return Snapshot._make(shown)
