"""The ``cb_*`` series of this process, for Prometheus.

The series show what this process did. ``cb_current_state`` is the state after the last change that this process made;
changes by other processes do not update the series. For the state of all breakers see `cbstore_sql.metrics.fleet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cbstore_sql.metrics.recorder import DEFAULT_MAX_BREAKERS, LATENCY_BUCKETS, Instruments, Recorder

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class CircuitBreakerMetrics(Recorder):
    """Count requests and state changes of breakers, and measure the duration of calls, with prometheus_client.

    Add it to a breaker with ``CircuitBreaker(store, listeners=[metrics.listener])``. Without the package
    prometheus_client, this object does nothing. Several threads may use one object.

    Args:
        registry: The registry for the series; ``None`` makes a new registry. Use one `CircuitBreakerMetrics` for each
            registry: a second object on the same registry records nothing and logs an error.
        buckets: Upper bounds of the latency histogram in seconds, ascending.
        max_breakers: How many breaker names get their own series, 1 or more. All further names share the series of the
            name ``(other)``, so that names made from URLs or users do not fill the memory.

    Raises:
        InvalidStateError: ``max_breakers`` is not a whole number of at least 1.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        buckets: Sequence[float] = LATENCY_BUCKETS,
        max_breakers: int = DEFAULT_MAX_BREAKERS,
    ) -> None:
        super().__init__(max_breakers)
        self._registry = registry
        self._buckets = buckets

    def get_registry(self) -> CollectorRegistry | None:
        """Return the registry of the series, or ``None`` if prometheus_client is not installed."""
        return self._registry if self._ready() else None

    def _import(self) -> None:
        import prometheus_client  # noqa: F401 - only checks that it is installed

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
            "State changes that this process made.",
            ["backend", "from_state", "to_state"],
            registry=registry,
        )
        self._requests = Counter("cb_requests_total", "Requests by outcome.", ["backend", "outcome"], registry=registry)
        self._latency = Histogram(
            "cb_request_latency_seconds",
            "Duration of guarded calls in seconds.",
            ["backend"],
            buckets=buckets,
            registry=registry,
        )
        # In a pool of worker processes, the process that made the last change has the best value, even if this process
        # has ended since. So the mode is "mostrecent", not "livemostrecent".
        self._state = Gauge(
            "cb_current_state",
            "State after the last change this process made: 0 closed, 1 half_open, 2 open, -1 unknown.",
            ["backend"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._probes = Counter(
            "cb_probe_events_total",
            "Probes claimed, lost to another caller, or expired in this process.",
            ["name", "backend", "event"],
            registry=registry,
        )
        self._shadow = Counter(
            "cb_shadow_events_total",
            "What breakers in shadow mode would have done: opened, rejected.",
            ["name", "event"],
            registry=registry,
        )
        self._degraded = Gauge(
            "cb_store_degraded",
            "Breaker objects whose store is unavailable.",
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
        self._probes.labels(name=backend, backend=backend, event=event).inc()

    def shadow(self, name: str, event: str) -> None:
        self._shadow.labels(name=name, event=event).inc()

    def degraded(self, change: int) -> None:
        self._degraded.inc(change)

    def staleness(self, seconds: float) -> None:
        self._staleness.set(seconds)
