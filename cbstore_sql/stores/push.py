"""Push, as far as a breaker needs to know: what its state is called and what a listener tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from cbstore_sql.core.model import Snapshot

PushState = Literal["off", "connecting", "listening", "unavailable"]
"""``"off"``: no breaker was asked for yet, or closed. ``"connecting"``: also after the connection broke.
``"unavailable"``: the server or what stands before it passes on no notifications; only polling is left."""


class PushTarget(Protocol):
    """What a listener keeps up to date: a breaker's view."""

    clock: Callable[[], float]

    def generations(self) -> Mapping[str, int]:
        """Return the generation of each breaker in use, as far as it is known."""

    def record_many(self, snapshots: Mapping[str, Snapshot], asked_at: float) -> None:
        """Take in the answer of a batched read that was sent at ``asked_at``, by `clock`, seconds."""
