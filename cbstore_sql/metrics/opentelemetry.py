"""The ``cb.*`` instruments of this process, for OpenTelemetry.

This module uses the API only; the application chooses the SDK, the exporter and the views.

========================  ===============  ================  ========================================
instrument                kind             unit              attributes
========================  ===============  ================  ========================================
``cb.state_transitions``  counter          ``{transition}``  ``backend``, ``from_state``, ``to_state``
``cb.requests``           counter          ``{request}``     ``backend``, ``outcome``
``cb.request_latency``    histogram        ``s``             ``backend``
``cb.current_state``      observed gauge   ``{state}``       ``backend``
``cb.probe_events``       counter          ``{event}``       ``name``, ``backend``, ``event``
``cb.store_degraded``     up-down counter  ``{breaker}``     none
``cb.view_staleness``     observed gauge   ``s``             none
========================  ===============  ================  ========================================

``backend`` and ``name`` are the breaker's name. OpenTelemetry has no conventions for circuit breakers. A Prometheus
exporter turns these names into the series of `cbstore_sql.metrics.prometheus`, so the same dashboard shows both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cbstore_sql.metrics.recorder import DEFAULT_MAX_BREAKERS, LATENCY_BUCKETS, Instruments, Recorder

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation


class OpenTelemetryMetrics(Recorder):
    """Count requests and state changes of breakers, and measure the duration of calls, with OpenTelemetry.

    Add it to a breaker with ``CircuitBreaker(store, listeners=[metrics.listener])``. Without the package
    opentelemetry-api, this object does nothing. Several threads may use one object.

    Args:
        meter: The meter that makes the instruments. ``None`` means a meter of the global provider, fetched at the first
            measurement.
        buckets: Upper bounds of the latency histogram in seconds, ascending. The SDK may use other bounds.
        max_breakers: How many breaker names get their own series, 1 or more. All further names share the series of the
            name ``(other)``, so that names made from URLs or users do not fill the memory.

    Raises:
        InvalidStateError: ``max_breakers`` is not a whole number of at least 1.
    """

    def __init__(
        self,
        meter: Meter | None = None,
        *,
        buckets: Sequence[float] = LATENCY_BUCKETS,
        max_breakers: int = DEFAULT_MAX_BREAKERS,
    ) -> None:
        super().__init__(max_breakers)
        self._meter = meter
        self._buckets = buckets

    def _import(self) -> None:
        import opentelemetry.metrics  # noqa: F401 - only checks that it is installed

    def _make(self) -> Instruments:
        from opentelemetry.metrics import get_meter

        return _Instruments(self._meter or get_meter("cbstore_sql"), self._buckets)


class _Instruments:
    """The instruments of one meter."""

    def __init__(self, meter: Meter, buckets: Sequence[float]) -> None:
        self._transitions = meter.create_counter(
            "cb.state_transitions", "{transition}", "State changes that this process made."
        )
        self._requests = meter.create_counter("cb.requests", "{request}", "Requests by outcome.")
        self._latency = meter.create_histogram(
            "cb.request_latency",
            "s",
            "Duration of guarded calls.",
            explicit_bucket_boundaries_advisory=buckets,
        )
        # The gauge is observed at every collection. Older SDKs export the value of a gauge only once after it was set.
        self._states: dict[str, int] = {}
        meter.create_observable_gauge(
            "cb.current_state",
            [self._observe_states],
            "{state}",
            "State after the last change this process made: 0 closed, 1 half_open, 2 open, -1 unknown.",
        )
        self._probes = meter.create_counter(
            "cb.probe_events",
            "{event}",
            "Probes claimed, lost to another caller, or expired in this process.",
        )
        self._shadow = meter.create_counter(
            "cb.shadow_events",
            "{event}",
            "What breakers in shadow mode would have done: opened, rejected.",
        )
        self._degraded = meter.create_up_down_counter(
            "cb.store_degraded", "{breaker}", "Breaker objects whose store is unavailable."
        )

        self._refreshed: dict[str, float] = {}
        meter.create_observable_gauge(
            "cb.view_staleness",
            [self._observe_staleness],
            "s",
            "Age of the oldest breaker in a view just before it was last refreshed.",
        )

    def transition(self, backend: str, from_state: str, to_state: str, value: int) -> None:
        self._transitions.add(1, {"backend": backend, "from_state": from_state, "to_state": to_state})
        self._states[backend] = value

    def _observe_states(self, _: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        return [Observation(value, {"backend": backend}) for backend, value in self._states.copy().items()]

    def request(self, backend: str, outcome: str) -> None:
        self._requests.add(1, {"backend": backend, "outcome": outcome})

    def latency(self, backend: str, seconds: float) -> None:
        self._latency.record(seconds, {"backend": backend})

    def probe(self, backend: str, event: str) -> None:
        self._probes.add(1, {"name": backend, "backend": backend, "event": event})

    def shadow(self, name: str, event: str) -> None:
        self._shadow.add(1, {"name": name, "event": event})

    def degraded(self, change: int) -> None:
        self._degraded.add(change)

    def staleness(self, seconds: float) -> None:
        self._refreshed["seconds"] = seconds

    def _observe_staleness(self, _: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        return [Observation(seconds) for seconds in self._refreshed.copy().values()]
