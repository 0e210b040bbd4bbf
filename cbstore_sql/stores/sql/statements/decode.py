"""From a result row to what the store hands out; shared by the synchronous and the asynchronous store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbstore_sql.core.model import Row, Snapshot, State, Transition

_STATES = {state.value: state for state in State}


def to_snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    """Decode the answer of a read: the columns of `Row`, all ``None`` where there is no row, then the clock."""
    if values[0] is None:
        return Snapshot.of(name, Row(), values[-1])
    return _snapshot(name, values)


def to_transition(name: str, values: Sequence[Any]) -> Transition:
    """Decode what an update returned: the columns of `Row`, then the clock."""
    return Transition(_STATES[values[1]], _snapshot(name, values))


def _snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    state, _, generation, failures, successes, last_failure, until, seconds, token, probe_until, as_of = values
    # SQLite's RETURNING gives a whole number where a REAL column was set to one.
    return Snapshot(
        name,
        _STATES[state],
        generation,
        failures,
        successes,
        float(last_failure),
        float(until),
        float(seconds),
        token,
        float(probe_until),
        as_of,
    )
