"""Metrics for OpenTelemetry, through its API: the application chooses SDK, exporter and views.

========================  ===============  ================  ========================================
instrument                kind             unit              attributes
========================  ===============  ================  ========================================
``cb.state_transitions``  counter          ``{transition}``  ``backend``, ``from_state``, ``to_state``
``cb.requests``           counter          ``{request}``     ``backend``, ``outcome``
``cb.request_latency``    histogram        ``s``             ``backend``
``cb.current_state``      observed gauge   ``{state}``       ``backend``
``cb.probe_events``       counter          ``{event}``       ``backend``, ``event``
``cb.store_degraded``     up-down counter  ``{breaker}``     none
========================  ===============  ================  ========================================

OpenTelemetry has no conventions for circuit breakers. Translated for Prometheus, these names become the series of
`cbstore_sql.metrics.prometheus`, so the same dashboard shows both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cbstore_sql.metrics.recorder import LATENCY_BUCKETS, Instruments, Recorder

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation


class OpenTelemetryMetrics(Recorder):
    """Counts transitions and requests and observes latencies: ``cb.*`` instruments; see `Recorder`.

    Args:
        meter: Where to make the instruments; ``None`` asks the global provider, when the first measurement is taken.
        buckets: Upper bounds that the latency histogram advises, seconds, ascending.
    """

    def __init__(self, meter: Meter | None = None, *, buckets: Sequence[float] = LATENCY_BUCKETS) -> None:
        super().__init__()
        self._meter = meter
        self._buckets = buckets

    def _import(self) -> None:
        import opentelemetry.metrics  # noqa: F401 - only to find out whether it can be

    def _make(self) -> Instruments:
        from opentelemetry.metrics import get_meter

        return _Instruments(self._meter or get_meter("cbstore_sql"), self._buckets)


class _Instruments:
    """The instruments of one meter."""

    def __init__(self, meter: Meter, buckets: Sequence[float]) -> None:
        self._transitions = meter.create_counter(
            "cb.state_transitions", "{transition}", "Changes of state that this process made."
        )
        self._requests = meter.create_counter("cb.requests", "{request}", "Requests by outcome.")
        self._latency = meter.create_histogram(
            "cb.request_latency",
            "s",
            "How long guarded calls took.",
            explicit_bucket_boundaries_advisory=buckets,
        )
        # Asked for with every collection: from a gauge that is set, older SDKs tell a value only once.
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
            "Probes claimed, lost to another caller, and expired while this process owned them.",
        )
        self._degraded = meter.create_up_down_counter(
            "cb.store_degraded", "{breaker}", "Breaker objects whose store does not answer."
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
        self._probes.add(1, {"backend": backend, "event": event})

    def degraded(self, change: int) -> None:
        self._degraded.add(change)

    def staleness(self, seconds: float) -> None:
        self._refreshed["seconds"] = seconds

    def _observe_staleness(self, _: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        return [Observation(seconds) for seconds in self._refreshed.copy().values()]
