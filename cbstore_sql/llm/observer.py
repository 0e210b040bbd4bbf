"""What an LLM breaker tells a metrics object."""

from __future__ import annotations

import logging
from typing import Protocol

from cbstore_sql.events import BreakerEvent, StateChanged

log = logging.getLogger("cbstore_sql")


class Metrics(Protocol):
    """What a metrics object must answer."""

    def record_state_transition(self, backend: str, from_state: str, to_state: str) -> object:
        """Count a change of state."""

    def record_request(self, backend: str, outcome: str, latency_seconds: float) -> object:
        """Count an attempt (``success``, ``failure``) or a refusal (``rejected_open``, ``rejected_half_open``)."""


class Observer:
    """Tells one metrics object of one breaker; what that raises goes no further.

    Args:
        name: The breaker's name.
        metrics: ``None`` is told nothing.
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
