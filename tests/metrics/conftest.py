from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, CollectorRegistry

from cbstore_sql import CircuitBreakerMetrics, OpenTelemetryMetrics
from cbstore_sql.metrics.recorder import Recorder


class Recorded:
    """A recorder and the registry that contains its measurements."""

    def __init__(self, recorder: Recorder, registry: CollectorRegistry) -> None:
        self.recorder = recorder
        self._registry = registry

    def value(self, series: str, **labels: str) -> float | None:
        """Return the value of the only sample with these labels. Labels that a library adds are ignored."""
        found = [value for name, its_labels, value in self.samples() if name == series and its_labels == labels]
        assert len(found) <= 1
        return found[0] if found else None

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        return [
            (
                sample.name,
                {key: value for key, value in sample.labels.items() if not key.startswith("otel_")},
                sample.value,
            )
            for family in self._registry.collect()
            for sample in family.samples
            if family.name != "target" and not sample.name.endswith("_created")
        ]


def prometheus() -> Iterator[Recorded]:
    metrics = CircuitBreakerMetrics()
    registry: Any = metrics.get_registry()
    yield Recorded(metrics, registry)


def opentelemetry() -> Iterator[Recorded]:
    """A recorder of OpenTelemetry, read through its exporter for Prometheus."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    yield Recorded(OpenTelemetryMetrics(provider.get_meter("test")), REGISTRY)
    provider.shutdown()


@pytest.fixture(params=[prometheus, opentelemetry], ids=lambda make: make.__name__)
def kept(request: pytest.FixtureRequest) -> Iterator[Recorded]:
    """A recorder of each library. Both must record the same measurements."""
    yield from request.param()
