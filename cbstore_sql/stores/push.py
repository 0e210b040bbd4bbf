"""The types for push: the states of push, and the interface of an object that push keeps up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from cbstore_sql.core.model import Snapshot

PushState = Literal["off", "connecting", "listening", "unavailable"]
"""The state of push.

``"off"`` means that no breaker is in use, or that the listener is closed. ``"connecting"`` means that the listener
opens its connection, for the first time or after the connection broke. ``"listening"`` means that notifications arrive.
``"unavailable"`` means that the server, or a proxy in front of the server, delivers no notifications. Then the view
only polls the store."""


class PushTarget(Protocol):
    """The interface of a breaker's view, which a listener of notifications keeps up to date.

    Attributes:
        clock: A function that returns seconds by a clock that never goes back, such as `time.monotonic`.
    """

    clock: Callable[[], float]

    def generations(self) -> Mapping[str, int]:
        """Return the last known generation of each breaker in use, by breaker name."""

    def record_many(self, snapshots: Mapping[str, Snapshot], asked_at: float) -> None:
        """Store the answer of one read of several breakers in the view.

        Args:
            snapshots: The snapshots, by breaker name.
            asked_at: The moment at which the read was sent, in seconds by `clock`.
        """
