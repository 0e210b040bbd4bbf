"""Tests with real processes, a real database, the real clock, and a dependency that fails and recovers."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, State
from tests.system.fleet.upstream import Upstream, serving
from tests.system.fleet.workers import NAME, Fleet, Job, one_caller

WORKERS = 8
POLICY = BreakerPolicy(failure_threshold=5, recovery_timeout=0.4, probe_lease=20.0)
SHORT_LEASE = BreakerPolicy(failure_threshold=1, recovery_timeout=0.05, probe_lease=1.0)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as upstream:
        yield upstream


@pytest.fixture
def store(migrated_postgres_url: str) -> Iterator[SqlStore]:
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        yield store


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)  # These tests are about other processes on the real clock.


def test_a_fleet_opens_the_circuit_probes_one_at_a_time_and_closes_it_for_all(
    migrated_postgres_url: str, store: SqlStore, upstream: Upstream
) -> None:
    fleet = Fleet(Job(migrated_postgres_url, store.namespace, POLICY, upstream.url), WORKERS)
    upstream.wait_for_requests(WORKERS * 5)
    upstream.status = 503
    wait_until(lambda: store.read(NAME).state is not State.CLOSED)
    time.sleep(0.1)  # Calls admitted before the opening are still running.
    upstream.wait_until_idle_and_count_anew()
    upstream.wait_for_requests(4)
    failed_probes = upstream.served
    upstream.status = 200
    wait_until(lambda: store.read(NAME).state is State.CLOSED)
    closing_generation = store.read(NAME).generation
    served_until_closed = upstream.served
    upstream.wait_for_requests(served_until_closed + WORKERS * 5)
    seen = fleet.stop()
    total = sum(seen, Counter[str]())

    assert total["closed->open"] == 1, "exactly one process saw the circuit open"
    assert total["half_open->closed"] == 1, "one success closed it, seen by one process"
    assert total["half_open->open"] >= failed_probes - 1
    assert total["open->half_open"] == total["half_open->open"] + 1, "every probe was claimed once and settled once"
    assert total["Rejected"] > 0
    assert all(worker["answered last"] for worker in seen), "closed again for all"
    assert store.read(NAME).generation == closing_generation, "and nothing has happened since"


def test_at_most_one_request_is_in_flight_until_the_circuit_closes(
    migrated_postgres_url: str, store: SqlStore, upstream: Upstream
) -> None:
    upstream.status = 503
    store.force_open(NAME, 0.3)
    fleet = Fleet(Job(migrated_postgres_url, store.namespace, POLICY, upstream.url), WORKERS)
    upstream.controller.clear()
    for probe in range(1, 4):
        upstream.wait_for_requests(probe)
        time.sleep(0.15)  # Give another caller time to be admitted by mistake.
        upstream.controller.set()
        wait_until(lambda: store.read(NAME).state is State.OPEN)
        upstream.controller.clear()
    upstream.controller.set()
    assert upstream.most_at_once == 1
    fleet.stop()


def test_the_probe_of_a_killed_owner_is_free_after_the_lease(
    migrated_postgres_url: str, store: SqlStore, upstream: Upstream
) -> None:
    store.force_open(NAME, 0.0)
    upstream.controller.clear()
    with one_caller(Job(migrated_postgres_url, store.namespace, SHORT_LEASE, upstream.url)) as (owner, _):
        upstream.wait_for_requests(1)
        assert owner.pid is not None
        os.kill(owner.pid, signal.SIGKILL)
        owner.join(30.0)
    killed = store.read(NAME)
    assert killed.state is State.HALF_OPEN
    assert store.claim_probe(NAME, SHORT_LEASE, now=killed.probe_until - 0.01) is None
    upstream.controller.set()
    wait_until(lambda: store.read(NAME).probe_claimable)
    with one_caller(Job(migrated_postgres_url, store.namespace, SHORT_LEASE, upstream.url)) as (_, results):
        assert results.get(timeout=30.0)[:2] == ["ProbeClaimed", "CallFinished"]
    assert store.read(NAME).state is State.CLOSED


def test_an_owner_that_was_stopped_beyond_its_lease_changes_nothing(
    migrated_postgres_url: str, store: SqlStore, upstream: Upstream
) -> None:
    store.force_open(NAME, 0.0)
    upstream.controller.clear()
    with one_caller(Job(migrated_postgres_url, store.namespace, SHORT_LEASE, upstream.url)) as (owner, results):
        upstream.wait_for_requests(1)
        assert owner.pid is not None
        os.kill(owner.pid, signal.SIGSTOP)
        wait_until(lambda: store.read(NAME).probe_claimable)
        successor = store.claim_probe(NAME, POLICY)
        assert successor is not None
        before = store.read(NAME, now=0.0)
        upstream.controller.set()
        os.kill(owner.pid, signal.SIGCONT)
        told = results.get(timeout=30.0)
    assert "ProbeExpired" in told
    assert not any("->closed" in event or "->open" in event for event in told)
    assert store.read(NAME, now=0.0) == before


def test_a_long_call_keeps_its_probe_beyond_the_lease(
    migrated_postgres_url: str, store: SqlStore, upstream: Upstream
) -> None:
    store.force_open(NAME, 0.0)
    upstream.controller.clear()
    with one_caller(Job(migrated_postgres_url, store.namespace, SHORT_LEASE, upstream.url)) as (_, results):
        upstream.wait_for_requests(1)
        first_lease = store.read(NAME).probe_until
        wait_until(lambda: store.read(NAME).as_of > first_lease + SHORT_LEASE.probe_lease)
        assert store.claim_probe(NAME, SHORT_LEASE) is None
        upstream.controller.set()
        assert "half_open->closed" in results.get(timeout=30.0)
