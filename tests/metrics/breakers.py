"""Breakers in every state, and stores that can fail."""

from __future__ import annotations

from collections.abc import Sequence

from cbstore_sql import InMemoryStore, Snapshot, State, StoreUnavailableError
from cbstore_sql.core.model import Row

NOW = 1000.0

CLEAN = Snapshot.of("clean", Row(), NOW)
DIRTY = CLEAN._replace(name="dirty", failure_count=3, last_failure_time=900.0)
OPEN = DIRTY._replace(name="open", state=State.OPEN, generation=1, open_until=NOW + 12.5)
DUE = OPEN._replace(name="due", open_until=NOW - 40.0)
PROBED = DUE._replace(
    name="probed", state=State.HALF_OPEN, generation=2, probe_token="host/1/secret", probe_until=NOW + 20.0
)
ABANDONED = PROBED._replace(name="abandoned", probe_until=NOW - 30.0)
GIVEN_BACK = PROBED._replace(name="given_back", probe_token="", probe_until=0.0)

LOCKED = OPEN._replace(
    name="locked", override="open", override_until=NOW + 60.0, override_by="alice", override_reason="maintenance"
)
SHADOWED = OPEN._replace(name="shadowed", override="shadow", score=0.4, hold_until=NOW + 5.0)

FLEET = (CLEAN, DIRTY, OPEN, DUE, PROBED, ABANDONED, GIVEN_BACK)


class Rows:
    """A store that has exactly these breakers, or raises."""

    def __init__(self, breakers: Sequence[Snapshot] = FLEET, *, error: Exception | None = None) -> None:
        self.breakers = breakers
        self.error = error

    def read_all(self) -> list[tuple[str, Snapshot]]:
        if self.error:
            raise self.error
        return [("shop", snapshot) for snapshot in self.breakers]


class Switchable(InMemoryStore):
    """A store that a test can make unavailable."""

    out = False

    def _read(self, name: str, now: float | None) -> Snapshot:
        if self.out:
            raise StoreUnavailableError("out")
        return super()._read(name, now)
