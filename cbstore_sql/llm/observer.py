"""The link between an LLM breaker and a metrics object."""

from __future__ import annotations

import logging
from typing import Protocol

from cbstore_sql.events import BreakerEvent, StateChanged

log = logging.getLogger("cbstore_sql")


class Metrics(Protocol):
    """The methods that an LLM breaker calls to record metrics. `CircuitBreakerMetrics` has these methods."""

    def record_state_transition(self, backend: str, from_state: str, to_state: str) -> object:
        """Count one change of the circuit's state; see `CircuitBreakerMetrics.record_state_transition`.

        Args:
            backend: The breaker's name.
            from_state: The state before the change: ``"closed"``, ``"open"`` or ``"half_open"``.
            to_state: The state after the change: ``"closed"``, ``"open"`` or ``"half_open"``.
        """

    def record_request(self, backend: str, outcome: str, latency_seconds: float) -> object:
        """Count one attempt or one rejection, with its duration; see `CircuitBreakerMetrics.record_request`.

        Args:
            backend: The breaker's name.
            outcome: ``"success"``, ``"failure"``, or ``"rejected_"`` followed by the state of the circuit.
            latency_seconds: The duration of the attempt in seconds; 0 for a rejection.
        """


class Observer:
    """Record the state changes, attempts and rejections of one breaker in a metrics object.

    An error of the metrics object never reaches the caller of the breaker. The error is logged.

    Args:
        name: The breaker's name.
        metrics: The metrics object; ``None`` means that nothing is recorded.
    """

    def __init__(self, name: str, metrics: Metrics | None) -> None:
        self._name = name
        self._metrics = metrics

    def __call__(self, event: BreakerEvent) -> None:
        """Record a state change in the metrics object. Other events are ignored."""
        if self._metrics is not None and isinstance(event, StateChanged):
            self._metrics.record_state_transition(self._name, event.previous_state.value, event.snapshot.state.value)

    def request(self, outcome: str, seconds: float) -> None:
        """Record an attempt or a rejection in the metrics object.

        Args:
            outcome: ``"success"``, ``"failure"``, or ``"rejected_"`` followed by the state of the circuit.
            seconds: The duration of the attempt in seconds; 0 for a rejection.
        """
        if self._metrics is None:
            return
        try:
            self._metrics.record_request(self._name, outcome, seconds)
        except Exception as error:  # noqa: BLE001 - an error of the metrics object must not stop the call
            log.error("metrics failed with %s", type(error).__name__)
