"""From a complete answer to what the store returns; shared by the sync and the async store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbstore_sql.core.model import ANSWER_COLUMNS, Row, Snapshot, State, Transition

_STATES = {state.value: state for state in State}
_UNWRITTEN = Row()

_STATE, _PREVIOUS_STATE, _GENERATION, _SCORE, _SCORE_GENERATION = (
    ANSWER_COLUMNS.index(column) for column in ("state", "previous_state", "generation", "score", "score_generation")
)
# A snapshot shows the columns in their order: these, the clock, the score, and the rest.
_FIRST = slice(_GENERATION, _SCORE)
_REST = slice(_SCORE_GENERATION + 1, -1)


def to_snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    """Decode the answer of a read: `ANSWER_COLUMNS`, all ``None`` if there is no row, then the clock."""
    if values[0] is None:
        return Snapshot.of(name, _UNWRITTEN, values[-1])
    return _snapshot(name, values)


def to_transition(name: str, values: Sequence[Any]) -> Transition:
    """Decode the answer of an update: `ANSWER_COLUMNS`, then the clock."""
    return Transition(_STATES[values[_PREVIOUS_STATE]], _snapshot(name, values))


def _snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    # A score of an earlier generation no longer counts.
    score = values[_SCORE] if values[_SCORE_GENERATION] == values[_GENERATION] else 0.0
    return Snapshot._make((name, _STATES[values[_STATE]], *values[_FIRST], values[-1], score, *values[_REST]))
