"""Metrics for Prometheus, kept by prometheus_client.

They say what this process did and saw. ``cb_current_state`` is the last change of state that this process made; a
change that another process made does not reach it. What holds for the whole fleet is read from the table: see
`cbstore_sql.metrics.fleet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cbstore_sql.metrics.recorder import LATENCY_BUCKETS, Instruments, Recorder

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class CircuitBreakerMetrics(Recorder):
    """Counts transitions and requests and observes latencies: ``cb_*`` series; see `Recorder`.

    Args:
        registry: Where to register the series, once: a second object on the same registry keeps nothing and logs
            an error. ``None`` makes a registry of its own.
        buckets: Upper bounds of the latency histogram, seconds, ascending.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, buckets: Sequence[float] = LATENCY_BUCKETS
    ) -> None:
        super().__init__()
        self._registry = registry
        self._buckets = buckets

    def get_registry(self) -> CollectorRegistry | None:
        """Return the registry of the series, or ``None`` where prometheus_client is not installed."""
        return self._registry if self._ready() else None

    def _import(self) -> None:
        import prometheus_client  # noqa: F401 - only to find out whether it can be

    def _make(self) -> Instruments:
        from prometheus_client import CollectorRegistry

        if self._registry is None:
            self._registry = CollectorRegistry()
        return _Series(self._registry, self._buckets)


class _Series:
    """The series in one registry."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._transitions = Counter(
            "cb_state_transitions_total",
            "Changes of state that this process made.",
            ["backend", "from_state", "to_state"],
            registry=registry,
        )
        self._requests = Counter("cb_requests_total", "Requests by outcome.", ["backend", "outcome"], registry=registry)
        self._latency = Histogram(
            "cb_request_latency_seconds",
            "Seconds that guarded calls took.",
            ["backend"],
            buckets=buckets,
            registry=registry,
        )
        # Of a worker pool's processes, the one that made the last change knows best; that it has died since makes
        # its word no worse, so not "livemostrecent".
        self._state = Gauge(
            "cb_current_state",
            "State after the last change this process made: 0 closed, 1 half_open, 2 open, -1 unknown.",
            ["backend"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._probes = Counter(
            "cb_probe_events_total",
            "Probes claimed, lost to another caller, and expired while this process owned them.",
            ["backend", "event"],
            registry=registry,
        )
        self._degraded = Gauge(
            "cb_store_degraded",
            "Breaker objects whose store does not answer.",
            registry=registry,
            multiprocess_mode="livesum",
        )

        self._staleness = Gauge(
            "cb_view_staleness_seconds",
            "Age of the oldest breaker in a view just before it was last refreshed.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def transition(self, backend: str, from_state: str, to_state: str, value: int) -> None:
        self._transitions.labels(backend=backend, from_state=from_state, to_state=to_state).inc()
        self._state.labels(backend=backend).set(value)

    def request(self, backend: str, outcome: str) -> None:
        self._requests.labels(backend=backend, outcome=outcome).inc()

    def latency(self, backend: str, seconds: float) -> None:
        self._latency.labels(backend=backend).observe(seconds)

    def probe(self, backend: str, event: str) -> None:
        self._probes.labels(backend=backend, event=event).inc()

    def degraded(self, change: int) -> None:
        self._degraded.inc(change)

    def staleness(self, seconds: float) -> None:
        self._staleness.set(seconds)
