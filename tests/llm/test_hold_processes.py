"""With real processes, a 429 with ``Retry-After: 3`` costs only one request and the requests that are running."""

from __future__ import annotations

import time
import urllib.error
import uuid
from collections import Counter
from typing import NamedTuple

from cbstore_sql import CircuitBreakerOpenError, LLMCircuitBreaker, LLMCircuitBreakerConfig, SqlStore
from cbstore_sql.core.admission import FIRST_SHARE
from tests.llm.fleet import Api, Caller, Job, Signals, fleet, serving
from tests.waiting import eventually

PROCESSES = 40
NAME = "claude"
WAIT = 3.0
RAMP = 3.0
PAUSE = 0.25
# Seconds by which the database's wall clock may drift from the monotonic clock during a test.
DRIFT = 0.05


class Asked(NamedTuple):
    """One call during the ramp: the latest time at which its admission was decided, and whether it was admitted."""

    at: float
    admitted: bool


def breaker_over(store: SqlStore, **config: object) -> LLMCircuitBreaker:
    settings = LLMCircuitBreakerConfig(enabled=True, **config)  # type: ignore[arg-type] # given by the tests below
    return LLMCircuitBreaker(settings, NAME, store=store, store_timeout=None)


def calls_once(number: int, signals: Signals, job: Job) -> float:
    """Make one call that waits for the end of the hold. The first process calls before the others begin."""
    caller = Caller(number)
    with job.open() as store:
        breaker = breaker_over(store, ramp_up_seconds=1.0)
        assert breaker.failure_count == 0, "the connection is open now"
        signals.ready.release()
        signals.go.wait()
        caller.begin()
        breaker.call_with_retry_sync(lambda: caller.fetch(job.apis[0]))
        return time.monotonic()


def calls_on(number: int, signals: Signals, job: Job) -> list[Asked]:
    """Make calls without waiting for a hold until the test stops the process, and return the calls during the ramp."""
    caller, seen = Caller(number), list[Asked]()
    with job.open() as store:
        breaker = breaker_over(store, ramp_up_seconds=RAMP, on_hold="refuse")
        assert breaker.failure_count == 0
        signals.ready.release()
        signals.go.wait()
        while not signals.stop.wait(PAUSE):
            caller.begin()
            decided: list[float] = []

            def attempt(decided: list[float] = decided) -> None:
                decided.append(time.monotonic())
                caller.fetch(job.apis[0])

            try:
                breaker.call_with_retry_sync(attempt, max_retries=1)
                seen.append(Asked(decided[0], admitted=True))
            except CircuitBreakerOpenError as refused:
                if refused.reason in ("ramp", "ramp_up"):
                    seen.append(Asked(time.monotonic(), admitted=False))
            except urllib.error.HTTPError as limited:
                limited.close()
    return seen


def hold_end(store: SqlStore) -> float:
    """Return the end of the hold by ``time.monotonic`` in seconds; 0.0 without a hold."""
    until = store.read(NAME).hold_until
    return until and until - time.time() + time.monotonic()


def wait_for_hold(store: SqlStore) -> float:
    """Wait until the row contains the hold, and return the time."""
    assert eventually(lambda: hold_end(store))
    return time.monotonic()


def limit(api: Api) -> None:
    api.answer_from_now_on(429, Retry_After=f"{WAIT:.0f}")


def test_a_429_stops_all_later_requests_of_the_fleet_for_its_wait(migrated_postgres_url: str) -> None:
    with serving() as api:
        job = Job(migrated_postgres_url, uuid.uuid4().hex, (api.url,))
        limit(api)
        with job.open() as store, fleet(PROCESSES, calls_once, job) as others, fleet(1, calls_once, job) as first:
            first.signals.go.set()
            wait_for_hold(store)
            api.answer_from_now_on(200)
            end = hold_end(store)
            others.signals.go.set()
            answered = others.results() + first.results()
    assert [moment for moment in answered if not isinstance(moment, float)] == []
    assert Counter(request.status for request in api.requests) == {429: 1, 200: PROCESSES + 1}
    assert [request for request in api.requests[1:] if request.came < end - DRIFT] == []
    assert min(request.asked for request in api.requests[1:]) < end, "some call had to wait"


def test_a_429_under_load_costs_only_the_running_calls(migrated_postgres_url: str) -> None:
    with serving() as api:
        job = Job(migrated_postgres_url, uuid.uuid4().hex, (api.url,))
        with job.open() as store, fleet(PROCESSES, calls_on, job) as processes:
            processes.signals.go.set()
            assert eventually(lambda: len(api.processes()) == PROCESSES)
            limit(api)
            seen = wait_for_hold(store)
            # Calls that began before the hold may still get a 429, which can prolong the hold.
            assert eventually(lambda: time.monotonic() > hold_end(store) - WAIT / 2)
            api.answer_from_now_on(200)
            end = hold_end(store)
            assert eventually(lambda: time.monotonic() > end + RAMP)
            results = processes.results()
    held = [request for request in api.requests if request.status == 429]
    assert 1 <= len(held) <= PROCESSES
    assert max(Counter(request.process for request in held).values()) == 1, "a process was told twice"
    assert [request for request in held if request.asked > seen] == []
    assert [request for request in api.requests if seen < request.asked and request.came < end - DRIFT] == []
    for asked in results:
        assert isinstance(asked, list), asked
        assert no_burst([ask for ask in asked if end - DRIFT < ask.at < end + RAMP], end)
    ramp = [request for request in api.requests if end - DRIFT < request.came < end + RAMP]
    assert ramp, "calls come back"


def no_burst(asked: list[Asked], start: float) -> bool:
    """Whether a process admitted no more than the ramp's share of what it had asked, at every moment.

    Each call adds the present share to a sum, which begins anywhere below 1, and every whole 1 admits a call.
    """
    allowed, admitted = 1.0, 0
    for ask in asked:
        allowed += FIRST_SHARE + (1.0 - FIRST_SHARE) * max(0.0, ask.at + DRIFT - start) / RAMP
        admitted += ask.admitted
        if admitted > allowed:
            return False
    return True
