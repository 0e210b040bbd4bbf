"""A clock that only a test moves, and stores that use it."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot
from cbstore_sql.stores.dict_protocol import ProtocolStore


class Clock:
    """A clock that returns the time to which a test set it, in Unix seconds."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def go_by(clock: Clock, store: ProtocolStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a store use a clock for the operations of the protocol, which have no argument for the time."""
    apply, read = store._apply, store._read

    def applied(command: Command) -> Any:
        return apply(command._replace(parameters={**command.parameters, "now": command.clock(clock())}))

    def seen(name: str, now: float | None) -> Snapshot:
        return read(name, clock() if now is None else now)

    monkeypatch.setattr(store, "_apply", applied)
    monkeypatch.setattr(store, "_read", seen)
