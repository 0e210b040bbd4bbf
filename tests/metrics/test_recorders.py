"""Tests of the measurements of both libraries, read in the format of Prometheus."""

from __future__ import annotations

import math
import threading

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerMetrics, CircuitBreakerOpenError, InMemoryStore
from cbstore_sql.core.model import Verdict
from cbstore_sql.events import CallFinished, ProbeLost
from cbstore_sql.metrics.recorder import LATENCY_BUCKETS
from tests.breaker.drivers import Clock
from tests.metrics.breakers import Switchable
from tests.metrics.conftest import Recorded

POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=30.0, probe_lease=60.0)


def fail() -> None:
    raise ZeroDivisionError


def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(kept: Recorded, clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(InMemoryStore(clock=clock), POLICY, listeners=[kept.recorder.listener])


def open_circuit(breaker: CircuitBreaker) -> None:
    with pytest.raises(ZeroDivisionError):
        breaker.call("api", fail)


def test_calls_are_counted_by_outcome_and_timed(kept: Recorded, breaker: CircuitBreaker) -> None:
    breaker.call("api", lambda: "answer")
    with pytest.raises(KeyboardInterrupt):
        breaker.call("api", interrupted)
    open_circuit(breaker)
    for outcome in ("success", "no_verdict", "failure"):
        assert kept.value("cb_requests_total", backend="api", outcome=outcome) == 1
    assert kept.value("cb_request_latency_seconds_count", backend="api") == 3


def test_latencies_fall_into_buckets_from_milliseconds_to_minutes(kept: Recorded) -> None:
    kept.recorder.listener(CallFinished("api", Verdict.SUCCESS, 0.3))
    kept.recorder.listener(CallFinished("api", Verdict.FAILURE, 900.0))
    buckets = {
        float(labels["le"]): value
        for name, labels, value in kept.samples()
        if name == "cb_request_latency_seconds_bucket"
    }
    assert tuple(buckets) == (*LATENCY_BUCKETS, math.inf)
    assert (buckets[0.25], buckets[0.5], buckets[600], buckets[math.inf]) == (0, 1, 1, 2)
    assert kept.value("cb_request_latency_seconds_sum", backend="api") == 900.3


def test_refused_calls_are_counted_by_state_and_not_timed(
    kept: Recorded, breaker: CircuitBreaker, clock: Clock
) -> None:
    open_circuit(breaker)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("api", fail)
    clock.advance(31.0)
    breaker.admit("api")
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("api", fail)
    assert kept.value("cb_requests_total", backend="api", outcome="rejected_open") == 1
    assert kept.value("cb_requests_total", backend="api", outcome="rejected_half_open") == 1
    assert kept.value("cb_request_latency_seconds_count", backend="api") == 1


def test_each_change_of_state_is_counted_and_the_last_one_shown(
    kept: Recorded, breaker: CircuitBreaker, clock: Clock
) -> None:
    open_circuit(breaker)
    assert kept.value("cb_current_state", backend="api") == 2
    clock.advance(31.0)
    permit = breaker.admit("api")
    assert kept.value("cb_current_state", backend="api") == 1
    breaker.success(permit)
    assert kept.value("cb_current_state", backend="api") == 0
    for before, after in (("closed", "open"), ("open", "half_open"), ("half_open", "closed")):
        assert kept.value("cb_state_transitions_total", backend="api", from_state=before, to_state=after) == 1


def test_an_operation_that_changes_no_state_is_not_counted_as_a_transition(
    kept: Recorded, breaker: CircuitBreaker
) -> None:
    breaker.force_open("api", 10.0)
    breaker.force_open("api", 20.0)
    assert kept.value("cb_state_transitions_total", backend="api", from_state="closed", to_state="open") == 1
    assert kept.value("cb_state_transitions_total", backend="api", from_state="open", to_state="open") is None


def test_probes_are_counted_when_claimed_lost_and_expired(
    kept: Recorded, breaker: CircuitBreaker, clock: Clock
) -> None:
    open_circuit(breaker)
    clock.advance(31.0)
    late = breaker.admit("api")
    clock.advance(61.0)
    breaker.admit("api")
    breaker.success(late)
    kept.recorder.listener(ProbeLost("api"))
    assert kept.value("cb_probe_events_total", name="api", backend="api", event="claimed") == 2
    assert kept.value("cb_probe_events_total", name="api", backend="api", event="expired") == 1
    assert kept.value("cb_probe_events_total", name="api", backend="api", event="lost") == 1


def test_store_degraded_counts_each_breaker_object_once(kept: Recorded) -> None:
    store = Switchable()
    breakers = [CircuitBreaker(store, listeners=[kept.recorder.listener]) for _ in range(2)]

    def everybody_calls() -> None:
        for breaker in breakers:
            for name in ("api", "mail"):
                breaker.call(name, str)

    store.out = True
    everybody_calls()
    assert kept.value("cb_store_degraded") == 2
    store.out = False
    assert all(breaker.check_store() for breaker in breakers)
    assert kept.value("cb_store_degraded") == 0


def test_a_refresh_records_the_age_of_the_view(kept: Recorded) -> None:
    store = Switchable()
    store.reads_locally = False
    breaker = CircuitBreaker(store, max_staleness=3600.0, listeners=[kept.recorder.listener])
    breaker.call("api", str)
    breaker._drive(breaker._controller.refresh.run())
    age = kept.value("cb_view_staleness_seconds")
    assert age is not None
    assert 0.0 < age < 3600.0
    kept.recorder.record_staleness(0.5)
    assert kept.value("cb_view_staleness_seconds") == 0.5


def test_measurements_can_be_recorded_without_a_breaker(kept: Recorded) -> None:
    kept.recorder.record_request("api", "cached")
    kept.recorder.record_request("api", "success", 0.0)
    kept.recorder.record_request("api", "rejected_open", 0.0)
    kept.recorder.record_state_transition("api", "OPEN", "Half_Open")
    assert kept.value("cb_requests_total", backend="api", outcome="cached") == 1
    assert kept.value("cb_request_latency_seconds_count", backend="api") == 1
    assert kept.value("cb_state_transitions_total", backend="api", from_state="OPEN", to_state="Half_Open") == 1
    assert kept.value("cb_current_state", backend="api") == 1


def test_an_unknown_state_is_recorded_as_minus_one(kept: Recorded) -> None:
    kept.recorder.record_state_transition("api", "open", "melted")
    assert kept.value("cb_current_state", backend="api") == -1


def test_no_measurement_is_lost_between_threads(kept: Recorded) -> None:
    def measure() -> None:
        for _ in range(200):
            kept.recorder.record_request("api", "success", 0.1)

    threads = [threading.Thread(target=measure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.value("cb_requests_total", backend="api", outcome="success") == 1600
    assert kept.value("cb_request_latency_seconds_count", backend="api") == 1600


def test_names_beyond_the_limit_share_one_series(caplog: pytest.LogCaptureFixture) -> None:
    metrics = CircuitBreakerMetrics(max_breakers=2)
    for number in range(1000):
        metrics.record_request(f"user-{number}", "success", 0.1)
        metrics.record_state_transition(f"user-{number}", "closed", "open")
        metrics.record_probe(f"user-{number}", "claimed")
    registry = metrics.get_registry()
    assert registry is not None
    names = {
        label for family in registry.collect() for sample in family.samples if (label := sample.labels.get("backend"))
    }
    assert names == {"user-0", "user-1", "(other)"}
    assert registry.get_sample_value("cb_requests_total", {"backend": "(other)", "outcome": "success"}) == 998
    assert [record.getMessage() for record in caplog.records] == [
        "more than 2 breaker names: the others are measured as (other)"
    ]
