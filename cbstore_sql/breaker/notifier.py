"""The listeners of one breaker: who hears which events, and how long a call took while anyone listens."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cbstore_sql.core.model import Verdict
from cbstore_sql.events import BreakerEvent, CallFinished, Listener, tell


class Notifier:
    """Passes events on to the listeners.

    Args:
        listeners: Called with every event, in this order.

    Attributes:
        listeners: The listeners, with those added later. A call is timed only while the list is not empty.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self.listeners.append(listener)

    def emit(self, event: BreakerEvent) -> None:
        """Call every listener with an event."""
        tell(self.listeners, event)

    def call_began(self) -> float | None:
        """Return the moment a guarded call begins, in seconds of a steady clock; ``None`` without listeners."""
        return time.perf_counter() if self.listeners else None

    def call_ended(self, name: str, verdict: Verdict, began: float | None) -> None:
        """Emit `CallFinished` for a guarded call.

        Args:
            name: The breaker's name.
            verdict: What the call's outcome says about the dependency.
            began: What `call_began` returned; ``None`` emits nothing.
        """
        if began is not None:
            self.emit(CallFinished(name, verdict, time.perf_counter() - began))
