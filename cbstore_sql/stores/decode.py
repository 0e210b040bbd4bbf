"""Functions that convert the answer of a database or of Redis to a `Snapshot` or a `Transition`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbstore_sql.core.model import ANSWER_COLUMNS, Row, Snapshot, State, Transition

_STATES = {state.value: state for state in State}
_UNWRITTEN = Row()

_STATE, _PREVIOUS_STATE, _GENERATION, _SCORE, _SCORE_GENERATION = (
    ANSWER_COLUMNS.index(column) for column in ("state", "previous_state", "generation", "score", "score_generation")
)
# After the name and the state, a snapshot has the columns of _FIRST, the clock, the score, and the columns of _REST.
_FIRST = slice(_GENERATION, _SCORE)
_REST = slice(_SCORE_GENERATION + 1, -1)


def to_snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    """Make a snapshot from the row that a read returned.

    Args:
        name: The name of the breaker.
        values: The values of `ANSWER_COLUMNS`, then the clock in Unix seconds. If the breaker has no row, all values
            but the clock are ``None``; then the snapshot is that of a closed breaker.
    """
    if values[0] is None:
        return Snapshot.of(name, _UNWRITTEN, values[-1])
    return _snapshot(name, values)


def to_transition(name: str, values: Sequence[Any]) -> Transition:
    """Make a transition (the previous state and the new snapshot) from the row that an update returned.

    Args:
        name: The name of the breaker.
        values: The values of `ANSWER_COLUMNS`, then the clock in Unix seconds.
    """
    return Transition(_STATES[values[_PREVIOUS_STATE]], _snapshot(name, values))


def _snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    # A score of an earlier generation no longer counts.
    score = values[_SCORE] if values[_SCORE_GENERATION] == values[_GENERATION] else 0.0
    return Snapshot._make((name, _STATES[values[_STATE]], *values[_FIRST], values[-1], score, *values[_REST]))
