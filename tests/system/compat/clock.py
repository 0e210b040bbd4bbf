"""A time that is moved by hand, and stores that go by it."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot
from cbstore_sql.stores.dict_protocol import ProtocolStore


class Clock:
    """Says what it was set to, Unix seconds."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def go_by(clock: Clock, store: ProtocolStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell a store the time of each operation that is not told one: the protocol has no word for it."""
    apply, read = store._apply, store._read

    def applied(command: Command) -> Any:
        return apply(command._replace(parameters={**command.parameters, "now": command.clock(clock())}))

    def seen(name: str, now: float | None) -> Snapshot:
        return read(name, clock() if now is None else now)

    monkeypatch.setattr(store, "_apply", applied)
    monkeypatch.setattr(store, "_read", seen)
