"""Tests of the OpenTelemetry instruments with the SDK."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from cbstore_sql import OpenTelemetryMetrics
from cbstore_sql.metrics import opentelemetry
from cbstore_sql.metrics.recorder import LATENCY_BUCKETS
from tests.metrics.processes import python


def measured() -> dict[str, Any]:
    """Return every instrument, with one measurement each, by name."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    metrics = OpenTelemetryMetrics(provider.get_meter("test"))
    metrics.record_state_transition("api", "closed", "open")
    metrics.record_request("api", "success", 0.3)
    metrics.record_probe("api", "claimed")
    metrics.record_store(degraded=True)
    data: Any = reader.get_metrics_data()
    provider.shutdown()
    return {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}


def test_names_units_and_attributes_match_the_docstring() -> None:
    for name, metric in measured().items():
        (point,) = metric.data.data_points
        (line,) = [line for line in str(opentelemetry.__doc__).splitlines() if line.startswith(f"``{name}``")]
        documented = line.split("``")[1::2]
        assert documented[1] == metric.unit
        assert set(documented[2:]) == set(point.attributes)
    assert len(measured()) == 6


def test_the_sdk_receives_the_values_and_the_advised_buckets() -> None:
    points = {name: metric.data.data_points[0] for name, metric in measured().items()}
    assert points["cb.state_transitions"].attributes == {"backend": "api", "from_state": "closed", "to_state": "open"}
    assert points["cb.current_state"].value == 2
    assert points["cb.store_degraded"].value == 1
    assert points["cb.request_latency"].sum == 0.3
    assert points["cb.request_latency"].explicit_bounds == LATENCY_BUCKETS


def test_every_collection_contains_the_state() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    metrics = OpenTelemetryMetrics(provider.get_meter("test"))
    metrics.record_state_transition("api", "closed", "open")
    for _ in range(2):
        data: Any = reader.get_metrics_data()
        found = {metric.name: metric.data for metric in data.resource_metrics[0].scope_metrics[0].metrics}
        assert [point.value for point in found["cb.current_state"].data_points] == [2]
    provider.shutdown()


def test_without_a_meter_the_first_measurement_uses_the_global_provider() -> None:
    code = """
from cbstore_sql import OpenTelemetryMetrics
metrics = OpenTelemetryMetrics()
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
set_meter_provider(MeterProvider(metric_readers=[reader]))
metrics.record_request("api", "success", 0.3)
scope = reader.get_metrics_data().resource_metrics[0].scope_metrics[0]
print(scope.scope.name, sorted(metric.name for metric in scope.metrics))
"""
    assert python(code) == "cbstore_sql ['cb.request_latency', 'cb.requests']\n"
