"""The listeners of one breaker: who hears which events, and how long a call took while anyone listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from types import CoroutineType
from typing import Any

from cbstore_sql.core.model import Verdict
from cbstore_sql.deadline import paused
from cbstore_sql.events import BreakerEvent, CallFinished, Listener
from cbstore_sql.runtime.interrupts import from_signal_handler

log = logging.getLogger("cbstore_sql")


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
        """Call every listener with an event.

        What a listener raises is logged and reaches neither the other listeners nor the caller. The time that the
        listeners take does not count towards the store's deadline.
        """
        if not self.listeners:
            return
        with paused():
            for listener in self.listeners:
                try:
                    result = listener(event)
                    if result is not None:
                        self._take(result, event)
                except Exception as error:
                    if from_signal_handler(error):
                        raise
                    log_failed_listener(event, error)

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

    def _take(self, result: Any, event: BreakerEvent) -> None:
        """Take what a listener returned: a synchronous breaker cannot await a coroutine."""
        if isinstance(result, CoroutineType):
            result.close()
            log.error("a listener returned a coroutine on %s: only AsyncCircuitBreaker awaits it", type(event).__name__)


def log_failed_listener(event: BreakerEvent, error: BaseException) -> None:
    """Log that a listener failed, without the error's text: it may contain data of the application."""
    log.error("a listener failed on %s with %s", type(event).__name__, type(error).__name__)
