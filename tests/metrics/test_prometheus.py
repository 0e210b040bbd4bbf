"""Tests of registries, of worker pools, and of an installation without prometheus_client."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from cbstore_sql import CircuitBreaker, CircuitBreakerMetrics, InMemoryStore
from tests.metrics.processes import python

SUCCESS = {"backend": "api", "outcome": "success"}


def test_each_object_has_a_separate_registry() -> None:
    first, second = CircuitBreakerMetrics(), CircuitBreakerMetrics()
    first.record_request("api", "success", 0.1)
    registries = first.get_registry(), second.get_registry()
    assert registries[0] is not registries[1]
    assert [registry.get_sample_value("cb_requests_total", SUCCESS) for registry in registries if registry] == [1, None]


def test_the_application_s_registry_can_be_used() -> None:
    registry = CollectorRegistry()
    Gauge("app_ready", "Its own.", registry=registry).set(1)
    metrics = CircuitBreakerMetrics(registry, buckets=(1, 2))
    metrics.record_request("api", "success", 1.5)
    assert metrics.get_registry() is registry
    assert registry.get_sample_value("app_ready") == 1
    buckets = [
        registry.get_sample_value("cb_request_latency_seconds_bucket", {"backend": "api", "le": le})
        for le in ("1.0", "2.0", "+Inf")
    ]
    assert buckets == [0, 1, 1]


def test_a_registry_that_raises_is_logged_once_and_no_call_fails(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    first, second = CircuitBreakerMetrics(registry), CircuitBreakerMetrics(registry)
    assert first.get_registry() is registry
    breaker = CircuitBreaker(InMemoryStore(), listeners=[second.listener])
    for _ in range(3):
        assert breaker.call("api", lambda: "answer") == "answer"
    assert second.get_registry() is None
    (record,) = caplog.records
    assert re.fullmatch(r"metrics are off: making the instruments failed with \w+", record.getMessage())


class Slow(CollectorRegistry):
    """A registry that is slow to create a series, so that other threads arrive meanwhile."""

    def register(self, collector: Collector) -> None:
        threading.Event().wait(0.01)
        super().register(collector)


def test_racing_first_measurements_create_the_series_once() -> None:
    registry = Slow()
    metrics = CircuitBreakerMetrics(registry)
    together = threading.Barrier(8)

    def measure() -> None:
        together.wait()
        metrics.record_request("api", "success", 0.1)

    threads = [threading.Thread(target=measure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.get_sample_value("cb_requests_total", SUCCESS) == 8


def test_in_a_worker_pool_the_last_change_of_all_processes_is_shown(tmp_path: Path) -> None:
    worker = """
from cbstore_sql import CircuitBreakerMetrics
metrics = CircuitBreakerMetrics()
for change in {}:
    metrics.record_state_transition("api", *change)
metrics.record_store(degraded=True)
"""
    for changes_of_one in ([("closed", "open")], [("open", "half_open"), ("half_open", "closed")]):
        python(worker.format(changes_of_one), PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call] # it has no annotations
    changes = {"backend": "api", "from_state": "closed", "to_state": "open"}
    assert registry.get_sample_value("cb_state_transitions_total", changes) == 1
    assert registry.get_sample_value("cb_current_state", {"backend": "api"}) == 0
    assert registry.get_sample_value("cb_store_degraded") == 2


WITHOUT = """
import sys
sys.modules["prometheus_client"] = sys.modules["opentelemetry"] = None
from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerMetrics, InMemoryStore, OpenTelemetryMetrics
for metrics in (CircuitBreakerMetrics(), OpenTelemetryMetrics()):
    breaker = CircuitBreaker(InMemoryStore(), BreakerPolicy(failure_threshold=1), listeners=[metrics.listener])
    breaker.call("api", lambda: "answer")
    breaker.force_open("api", 10)
    metrics.record_state_transition("api", "closed", "open")
    metrics.record_request("api", "success", 0.5)
    metrics.record_probe("api", "claimed")
    metrics.record_store(degraded=True)
assert CircuitBreakerMetrics().get_registry() is None
print("done")
"""


def test_without_the_libraries_every_method_does_nothing_and_logs_nothing() -> None:
    assert python(WITHOUT) == "done\n"


def test_the_library_is_imported_with_the_first_measurement() -> None:
    code = """
import sys
from cbstore_sql import CircuitBreakerMetrics, FleetCollector, OpenTelemetryMetrics, log_events
metrics = [CircuitBreakerMetrics(), OpenTelemetryMetrics()]
print({"prometheus_client", "opentelemetry"} & set(sys.modules))
for one in metrics:
    one.record_request("api", "success", 0.1)
print(len({"prometheus_client", "opentelemetry"} & set(sys.modules)))
"""
    assert python(code) == "set()\n2\n"
