"""The types for push, which tells other processes of state changes at once, over LISTEN and NOTIFY."""

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
    """The interface of this process's copy of the shared state, as the listener for notifications uses it.

    After a notification, the listener reads the breakers again and passes their snapshots to `record_many`.

    Attributes:
        clock: A function that returns seconds by a clock that never goes back, such as `time.monotonic`.
    """

    clock: Callable[[], float]

    def generations(self) -> Mapping[str, int]:
        """Return, by name, the generation that this process last saw of each breaker in use.

        The generation is a number that grows with each state change, so the listener can tell which breakers have
        changed.
        """

    def record_many(self, snapshots: Mapping[str, Snapshot], asked_at: float) -> None:
        """Update this process's copy of the shared state with snapshots that were just read from the store.

        Args:
            snapshots: The snapshots, by breaker name.
            asked_at: When the read was sent, in seconds of `clock`.
        """
