"""Passes the events of an LLM breaker to a metrics object."""

from __future__ import annotations

import logging
from typing import Protocol

from cbstore_sql.events import BreakerEvent, StateChanged

log = logging.getLogger("cbstore_sql")


class Metrics(Protocol):
    """The methods that an LLM breaker calls on a metrics object, such as `CircuitBreakerMetrics`."""

    def record_state_transition(self, backend: str, from_state: str, to_state: str) -> object:
        """Count a state change; see `CircuitBreakerMetrics.record_state_transition`."""

    def record_request(self, backend: str, outcome: str, latency_seconds: float) -> object:
        """Count an attempt or a rejection; see `CircuitBreakerMetrics.record_request`."""


class Observer:
    """Passes the events of one breaker to a metrics object. Errors of the metrics object are logged and dropped.

    Args:
        name: The breaker's name.
        metrics: The metrics object; ``None`` drops all events.
    """

    def __init__(self, name: str, metrics: Metrics | None) -> None:
        self._name = name
        self._metrics = metrics

    def __call__(self, event: BreakerEvent) -> None:
        """Tell of a change of state; the breaker's listener."""
        if self._metrics is not None and isinstance(event, StateChanged):
            self._metrics.record_state_transition(self._name, event.previous_state.value, event.snapshot.state.value)

    def request(self, outcome: str, seconds: float) -> None:
        """Tell of an attempt, or of a refusal."""
        if self._metrics is None:
            return
        try:
            self._metrics.record_request(self._name, outcome, seconds)
        except Exception as error:  # noqa: BLE001 - whatever the metrics raise, the call goes on
            log.error("metrics failed with %s", type(error).__name__)
