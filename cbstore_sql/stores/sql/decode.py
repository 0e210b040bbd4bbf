"""From a result row to what the store hands out; shared by the synchronous and the asynchronous store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbstore_sql.model import Row, Snapshot, Transition


def to_snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    """Decode the answer of a read: the columns of `Row`, all ``None`` where there is no row, then the clock."""
    row = Row() if values[0] is None else _row(values)
    return Snapshot.of(name, row, values[-1])


def to_transition(name: str, values: Sequence[Any]) -> Transition:
    """Decode what an update returned: the columns of `Row`, then the clock."""
    return Transition.of(name, _row(values), values[-1])


def _row(values: Sequence[Any]) -> Row:
    # SQLite's RETURNING gives a whole number where a REAL column was set to one.
    state, previous, generation, failures, successes, last_failure, until, seconds, token, probe_until, _ = values
    return Row(
        state,
        previous,
        generation,
        failures,
        successes,
        float(last_failure),
        float(until),
        float(seconds),
        token,
        float(probe_until),
    )
