"""The listeners of one breaker, the log lines of its circuits, and the duration of calls while there are listeners."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from types import CoroutineType
from typing import Any

from cbstore_sql.core.model import State, Verdict
from cbstore_sql.deadline import paused
from cbstore_sql.events import BreakerEvent, CallFinished, Closed, Listener, Opened, StateChanged
from cbstore_sql.runtime.interrupts import from_signal_handler

log = logging.getLogger("cbstore_sql")

LOGS_EVENTS = "logs_events"
"""The name of an attribute. A listener that has it logs openings and closings, as the listener of `log_events` does."""


class Notifier:
    """The listeners of one breaker, which are called with each event.

    Args:
        listeners: Functions that are called with each event, in this order.

    Attributes:
        listeners: All listeners, including listeners that `add` added. Calls are timed only while this list is not
            empty.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Add a listener. The notifier calls ``listener`` with every later event."""
        self.listeners.append(listener)

    def emit(self, event: BreakerEvent) -> None:
        """Log an opening or a closing, and call every listener with ``event``.

        If a listener raises, this method logs the error; the other listeners are still called, and the caller sees no
        error. The time in the listeners does not count towards the store's deadline.
        """
        if isinstance(event, (Opened, Closed)) and not self._logs_events():
            log_circuit(event)
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
        """Return the start time of a guarded call in seconds of a steady clock; ``None`` if there are no listeners."""
        return time.perf_counter() if self.listeners else None

    def call_ended(self, name: str, verdict: Verdict, began: float | None) -> None:
        """Emit `CallFinished` for a guarded call.

        Args:
            name: The breaker's name.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            began: What `call_began` returned. With ``None``, no event is emitted.
        """
        if began is not None:
            self.emit(CallFinished(name, verdict, time.perf_counter() - began))

    def _logs_events(self) -> bool:
        """Return whether any listener logs openings and closings."""
        return any(getattr(listener, LOGS_EVENTS, False) for listener in self.listeners)

    def _take(self, result: Any, event: BreakerEvent) -> None:
        """Handle the result of a listener.

        A synchronous breaker cannot await a coroutine, so this method logs an error.

        Args:
            result: What the listener returned.
            event: The event that the listener received.
        """
        if isinstance(result, CoroutineType):
            result.close()
            log.error("a listener returned a coroutine on %s: only AsyncCircuitBreaker awaits it", type(event).__name__)


def log_circuit(event: StateChanged) -> None:
    """Log that this process opened or closed a circuit.

    Both log records are warnings. A program without logging settings then shows both the opening and the closing.

    Args:
        event: The event of the state change.
    """
    breaker, state = event.snapshot, event.snapshot.state
    fields = {"cb_name": event.name, "cb_event": "closed", "cb_state": state.value}
    if state is State.CLOSED:
        log.warning("circuit breaker %r closed", event.name, extra=fields)
        return
    fields["cb_event"] = "opened"
    message = "circuit breaker %r opened for %.1f s (failures: %d)"
    log.warning(message, event.name, breaker.retry_after, breaker.failure_count, extra=fields)


def log_failed_listener(event: BreakerEvent, error: BaseException) -> None:
    """Log that a listener failed. The log omits the error's text, because it may contain data of the application.

    Args:
        event: The event that the listener received.
        error: The error that the listener raised.
    """
    log.error("a listener failed on %s with %s", type(event).__name__, type(error).__name__)
