"""The rows of the breakers that this process uses during an outage, in memory."""

from __future__ import annotations

from collections.abc import Iterable

from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.stores.memory import InMemoryStore


class LocalStore(InMemoryStore):
    """The store in memory in which `LocalBreakers` keeps the rows of its breakers.

    It uses the lock of `LocalBreakers`. With two locks, a signal handler that makes a guarded call could acquire them
    in the opposite order.
    """

    def _have_lock(self) -> None:
        """Make no lock. `LocalBreakers` sets the lock, and sets it again after each fork."""

    def has(self, name: str) -> bool:
        """Return whether the store has a breaker of this name."""
        return name in self._rows

    def adopt(self, name: str, row: Row) -> None:
        """Add a breaker with its last known row, unless the store already has a breaker of this name.

        Args:
            name: The breaker's name.
            row: What the shared store had of the breaker.
        """
        with self._lock:
            self._rows.setdefault(name, row)

    def drop(self, name: str) -> None:
        """Remove a breaker. If the store has no breaker of this name, do nothing."""
        with self._lock:
            self._rows.pop(name, None)

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove all breakers except those with these names."""
        with self._lock:
            self._rows = {name: self._rows[name] for name in names if name in self._rows}

    def free_probes(self) -> None:
        """End all probes, so that other callers may make them.

        A forked process needs this, because the owners of the probes are in its parent.
        """
        for name, row in self._rows.items():
            if row.probe_token:
                self._rows[name] = _without_probe(row)


def row_by_steady_clock(snapshot: Snapshot, asked_at: float) -> Row:
    """Make a row for this process's store from a snapshot of the shared store.

    All moments in the row are by this process's clock instead of the store's clock.

    Args:
        snapshot: The breaker, as the shared store returned it.
        asked_at: The moment just before the store call, by this process's clock, in seconds.
    """
    shift = asked_at - snapshot.as_of

    def moved(moment: float) -> float:
        return max(0.0, moment + shift) if moment > 0.0 else 0.0

    # A moment before the start of this clock becomes 0. For an override, 0 would mean that it never ends.
    override = snapshot.active_override
    return snapshot._to_row()._replace(
        override=override,
        last_failure_time=moved(snapshot.last_failure_time),
        open_until=moved(snapshot.open_until),
        probe_until=moved(snapshot.probe_until),
        closed_at=moved(snapshot.closed_at),
        hold_until=moved(snapshot.hold_until),
        override_until=moved(snapshot.override_until),
    )


def _without_probe(row: Row) -> Row:
    return row._replace(probe_token="", probe_until=0.0)
