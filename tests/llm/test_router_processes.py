"""Tests of the failover of real processes from a broken primary, and of their return after a successful probe."""

from __future__ import annotations

import time
import urllib.error
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from cbstore_sql import CircuitBreakerOpenError, LLMCircuitBreakerConfig, SqlStore
from cbstore_sql.breaker.view import DEFAULT_MAX_STALENESS
from cbstore_sql.llm import LLMRouter, LLMTarget
from tests.llm.fleet import Api, Caller, Fleet, Job, Signals, fleet, serving
from tests.waiting import eventually

PROCESSES = 4
PAUSE = 0.02
FAILURES = 5
RAMP = 1.0
# Seconds after the opening after which no process may call the primary: 0.25 plus the greatest age of a view.
BOUND = 0.25 + DEFAULT_MAX_STALENESS
# The number of requests that show that a process continues.
SOME = 40


class Seen(NamedTuple):
    """The outcomes of the calls of one process.

    Attributes:
        answered: Calls that were answered.
        failed: Calls that ended with an API's error.
        refused: Calls that no target admitted.
    """

    answered: int
    failed: int
    refused: int


def router_over(store: SqlStore, job: Job) -> LLMRouter:
    primary, secondary = job.apis
    targets = [LLMTarget("one", "a", client=primary), LLMTarget("two", "b", client=secondary)]
    config = LLMCircuitBreakerConfig(max_failures=FAILURES, reset_time_seconds=600)
    # A loaded machine may answer late, and then the router would continue without the store.
    return LLMRouter(targets, store, config, ramp_up=RAMP, store_timeout=None)


def calls_on(number: int, signals: Signals, job: Job) -> Seen:
    """Make calls through a router until the test stops the process."""
    caller, ended = Caller(number), Counter[str]()
    with job.open() as store:
        router = router_over(store, job)
        signals.ready.release()
        signals.go.wait()
        while not signals.stop.wait(PAUSE):
            caller.begin()
            try:
                router.call(lambda target: caller.fetch(target.client))
                ended["answered"] += 1
            except CircuitBreakerOpenError:
                ended["refused"] += 1
            except urllib.error.HTTPError as failed:
                failed.close()
                ended["failed"] += 1
        router.close()
    return Seen(ended["answered"], ended["failed"], ended["refused"])


class Scene(NamedTuple):
    """Two APIs, the circuits of both, and the processes that call them."""

    primary: Api
    secondary: Api
    store: SqlStore
    processes: Fleet
    job: Job

    def state(self, name: str = "one/a") -> str:
        """Return the state of a circuit; without a name, the state of the primary's circuit."""
        return self.store.read(name).state.value

    def open_time_elapses(self) -> None:
        """End the open time of the primary's circuit."""
        assert self.store.cas_state("one/a", "open", {"open_until": time.time() - 1})

    def others_go_on(self) -> None:
        """Wait until the secondary has answered more calls."""
        goal = len(self.secondary.requests) + SOME
        assert eventually(lambda: len(self.secondary.requests) >= goal)

    def trip(self) -> float:
        """Break the primary, and return a time at which its circuit is open in the store."""
        self.primary.answer_from_now_on(503)
        assert eventually(lambda: self.state() == "open")
        return time.monotonic()


@pytest.fixture
def scene(migrated_postgres_url: str) -> Iterator[Scene]:
    with serving() as primary, serving() as secondary:
        job = Job(migrated_postgres_url, uuid.uuid4().hex, (primary.url, secondary.url))
        with job.open() as store, fleet(PROCESSES, calls_on, job) as processes:
            processes.signals.go.set()
            assert eventually(lambda: primary.processes() == set(range(PROCESSES)))
            yield Scene(primary, secondary, store, processes, job)


def once_per_call(api: Api) -> bool:
    """Return whether every call sent at most one request to this API."""
    return max(Counter((request.process, request.call) for request in api.requests).values(), default=1) == 1


def test_all_processes_fail_over_and_return_only_after_a_probe_closed_the_primary_s_circuit(scene: Scene) -> None:
    primary, secondary = scene.primary, scene.secondary
    assert secondary.requests == [], "while the primary answers, the secondary gets nothing"

    tripped = scene.trip()
    assert eventually(lambda: time.monotonic() > tripped + BOUND)
    scene.others_go_on()
    assert secondary.processes() == set(range(PROCESSES))
    assert [request for request in primary.requests if request.asked > tripped + BOUND] == []

    primary.forget()
    primary.gate.clear()
    scene.open_time_elapses()
    assert eventually(lambda: primary.requests)
    scene.others_go_on()
    assert len(primary.requests) == 1, "one probe at a time"
    primary.gate.set()
    assert eventually(lambda: scene.state() == "open")
    scene.others_go_on()
    assert len(primary.requests) == 1, "the probe failed"

    primary.answer_from_now_on(200)
    primary.gate.clear()
    scene.open_time_elapses()
    assert eventually(lambda: len(primary.requests) == 2)
    scene.others_go_on()
    assert len(primary.requests) == 2, "one probe at a time"
    closed_not_before = time.monotonic()
    primary.gate.set()
    assert eventually(lambda: scene.state() == "closed")
    assert eventually(lambda: len({request.process for request in primary.requests[2:]}) == PROCESSES)
    assert [request for request in primary.requests[2:] if request.came < closed_not_before] == []
    assert all(isinstance(seen, Seen) and seen.failed == seen.refused == 0 for seen in scene.processes.results())
    assert once_per_call(primary)
    assert once_per_call(secondary)


def test_an_outage_of_every_target_causes_few_requests_beyond_one_for_each_call(scene: Scene) -> None:
    apis = (scene.primary, scene.secondary)
    before = [len(api.requests) for api in apis]
    for api in apis:
        api.answer_from_now_on(503)
    began = {request.process: request.call for request in scene.primary.requests}
    assert eventually(lambda: {scene.state("one/a"), scene.state("two/b")} == {"open"})
    tripped = time.monotonic()
    assert eventually(lambda: time.monotonic() > tripped + 2 * BOUND + 1.0)
    results = scene.processes.results()
    assert all(isinstance(seen, Seen) for seen in results), results
    cost = sum(len(api.requests) for api in apis) - sum(before)
    calls = sum(seen.answered + seen.failed + seen.refused for seen in results) - sum(began.values())
    assert sum(seen.refused for seen in results) > 0
    assert cost <= 1.1 * calls
    assert all(once_per_call(api) for api in apis)
    late = [request for api in apis for request in api.requests if request.asked > tripped + BOUND]
    assert late == [], "open circuits cost nothing"


def test_a_process_that_was_idle_during_the_failover_goes_to_the_secondary(scene: Scene) -> None:
    idle, router = Caller(PROCESSES), router_over(scene.store, scene.job)

    def call() -> str:
        idle.begin()
        return router.call(lambda target: idle.fetch(target.client))

    assert call() == scene.primary.url
    tripped = scene.trip()
    assert eventually(lambda: time.monotonic() > tripped + BOUND)
    assert call() == scene.secondary.url
    assert [request.call for request in scene.primary.requests if request.process == PROCESSES] == [1]
    router.close()
