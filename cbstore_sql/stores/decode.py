"""Functions that convert the answer of a database or of Redis to a `Snapshot` or a `Transition`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbstore_sql.core.model import Row, Snapshot, Transition

_UNWRITTEN = Row()


def to_snapshot(name: str, values: Sequence[Any]) -> Snapshot:
    """Make a snapshot from the row that a read returned.

    Args:
        name: The name of the breaker.
        values: The values of `ANSWER_COLUMNS`, then the clock in Unix seconds. If the breaker has no row, all values
            but the clock are ``None``; then the snapshot is that of a closed breaker.
    """
    return Snapshot.of(name, _UNWRITTEN if values[0] is None else values, values[-1])


def to_transition(name: str, values: Sequence[Any]) -> Transition:
    """Make a transition (the previous state and the new snapshot) from the row that an update returned.

    Args:
        name: The name of the breaker.
        values: The values of `ANSWER_COLUMNS`, then the clock in Unix seconds.
    """
    return Transition.of(name, values, values[-1])
