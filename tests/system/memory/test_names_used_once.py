"""A process that uses each breaker name once keeps only a bounded number of names."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from cbstore_sql import (
    DEFAULT_POLICY,
    CircuitBreaker,
    CircuitBreakerMetrics,
    OpenTelemetryMetrics,
    SqlStore,
    log_events,
)
from cbstore_sql.breaker.outage import local
from cbstore_sql.breaker.view import View
from cbstore_sql.core.commands import record_failure
from cbstore_sql.events import BreakerEvent, StoreDegraded
from cbstore_sql.stores import batching
from tests.system.memory.failing import FailingStore
from tests.waiting import eventually

NAMES = 300
LIMIT = 20
IDLE_REFRESHES = 40


def names_held_by(root: object) -> Counter[str]:
    """Count the breaker names that are reachable from an object, by the type of their container."""
    found: Counter[str] = Counter()
    seen = {id(root)}
    waiting = [root]
    while waiting:
        holder = waiting.pop()
        # The garbage collector does not visit the text keys of a dictionary.
        keys = list(holder) if isinstance(holder, dict) else []
        for held in [*gc.get_referents(holder), *keys]:
            if isinstance(held, str) and held.startswith("once-"):
                found[type(holder).__name__] += 1
            if id(held) not in seen and not isinstance(held, (type, ModuleType, FunctionType, threading.Thread)):
                seen.add(id(held))
                waiting.append(held)
    return found


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_KNOWN", LIMIT)
    monkeypatch.setattr(batching, "_MOST_CROWDED", LIMIT)


@pytest.fixture
def store(migrated_sqlite_url: str) -> Iterator[SqlStore]:
    with SqlStore(migrated_sqlite_url, namespace="once", max_breakers=None) as store:
        yield store


def fail_once(breaker: CircuitBreaker, names: range) -> None:
    for number in names:
        with pytest.raises(ZeroDivisionError):
            breaker.call(f"once-{number}", lambda: 1 / 0)


def view_of(breaker: CircuitBreaker) -> View:
    view = breaker._controller.view
    assert view is not None
    return view


@pytest.mark.usefixtures("small_tables")
def test_a_breaker_forgets_names_used_once(store: SqlStore) -> None:
    registry = CollectorRegistry()
    meter = MeterProvider([InMemoryMetricReader()]).get_meter("test")
    prometheus = CircuitBreakerMetrics(registry, max_breakers=LIMIT)
    opentelemetry = OpenTelemetryMetrics(meter, max_breakers=LIMIT)
    listeners = [prometheus.listener, opentelemetry.listener, log_events()]
    with CircuitBreaker(store, listeners=listeners, flush_interval=0.001, store_timeout=None) as breaker:
        fail_once(breaker, range(NAMES))
        for _ in range(IDLE_REFRESHES):
            view_of(breaker).in_use()
        assert view_of(breaker).generations() == {}
        for part in (breaker, prometheus, opentelemetry):
            assert max(names_held_by(part).values(), default=0) <= 10 * LIMIT, names_held_by(part)
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert len({sample.labels.get("backend") for sample in samples}) <= LIMIT + 2


@pytest.mark.usefixtures("small_tables")
def test_overlapping_failures_keep_a_bounded_number_of_names() -> None:
    tracker = batching.ContentionTracker()
    for number in range(NAMES):
        command = record_failure(f"once-{number}", DEFAULT_POLICY, 1, None, None)
        assert tracker.begin_alone(command)
        assert not tracker.begin_alone(command)
        tracker.end_alone(command)
    assert names_held_by(tracker) == {"dict": LIMIT}


@pytest.mark.usefixtures("small_tables")
def test_names_kept_for_an_outage_are_forgotten_afterwards(store: SqlStore) -> None:
    failing = FailingStore(store)
    events: list[BreakerEvent] = []
    with CircuitBreaker(failing, max_staleness=0, listeners=[events.append], store_timeout=None) as breaker:
        failing.fails = True
        fail_once(breaker, range(NAMES))
        assert [type(event) for event in events].count(StoreDegraded) == 1
        failing.fails = False
        assert eventually(breaker.check_store)
        events.clear()
        assert sum(names_held_by(breaker).values()) <= 10 * LIMIT, names_held_by(breaker)
