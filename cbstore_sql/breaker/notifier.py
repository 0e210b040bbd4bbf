"""The listeners of one breaker, the log lines of its circuits, and the duration of calls while there are listeners."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from types import CoroutineType
from typing import Any

from cbstore_sql.breaker.reentrancy import PROBE_CAP
from cbstore_sql.core.model import Permit, State, Verdict
from cbstore_sql.deadline import paused
from cbstore_sql.events import BreakerEvent, CallFinished, Closed, Listener, Opened, ProbeStalled, StateChanged
from cbstore_sql.runtime.interrupts import from_signal_handler

log = logging.getLogger("cbstore_sql")

LOGS_EVENTS = "logs_events"
"""The name of an attribute. A listener that has it logs openings and closings, as the listener of `log_events` does."""


class Notifier:
    """Call the listeners of one breaker with each event.

    Args:
        listeners: Functions that are called with each event, in this order.

    Attributes:
        listeners: All listeners, including listeners that `add` added. While it is empty, the duration of calls is not
            measured.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Add a listener: a function that is called with every later event."""
        self.listeners.append(listener)

    def emit(self, event: BreakerEvent) -> None:
        """Call every listener with an event. If a circuit has opened or closed, also write a log line.

        If a listener raises an exception, this method logs the error and calls the other listeners. The time in the
        listeners does not count towards the deadline of a store operation.
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
        """Return the start time for `call_ended`; ``None`` if there are no listeners.

        The time is in seconds. Only differences between such times matter.
        """
        return time.perf_counter() if self.listeners else None

    def call_ended(self, name: str, verdict: Verdict, began: float | None) -> None:
        """Emit `CallFinished` with the duration of a guarded call.

        Args:
            name: The breaker's name.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
            began: The start time from `call_began`. With ``None``, no event is emitted.
        """
        if began is not None:
            self.emit(CallFinished(name, verdict, time.perf_counter() - began))

    def probe_stalled(self, permit: Permit) -> None:
        """Log a warning and emit `ProbeStalled`, because the call of a probe shows no progress.

        The caller has stopped renewing the probe's lease, so another caller may soon make the probe.

        Args:
            permit: The permit of the probe.
        """
        log.warning("circuit breaker %r: its probe showed no progress for %d leases", permit.name, PROBE_CAP)
        self.emit(ProbeStalled(permit.name, permit))

    def log_failed_report(self, error: Exception) -> None:
        """Log that a report to the store failed.

        The error is not raised, so that the caller gets the outcome of the guarded call.

        Args:
            error: The exception that the report raised.

        Raises:
            Exception: ``error`` itself, if a signal handler raised it. Such an error is meant for the program, not for
                the report that the signal interrupted.
        """
        if from_signal_handler(error):
            raise error
        log.error("an outcome could not be reported: %s", type(error).__name__)

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
    """Write a log line that this process opened or closed a circuit.

    Both log lines are warnings, so that a program without logging settings shows the opening and also the closing.

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
    """Log that a listener raised an exception.

    The log line does not contain the text of the exception, because the text may contain data of the application.

    Args:
        event: The event that the listener received.
        error: The exception that the listener raised.
    """
    log.error("a listener failed on %s with %s", type(event).__name__, type(error).__name__)
