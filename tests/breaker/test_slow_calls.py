"""Calls that take longer than ``slow_after`` count as failures."""

from __future__ import annotations

import copy

import pytest

from cbstore_sql import BreakerPolicy, InMemoryStore, Permit, State, Verdict
from cbstore_sql.core.model import TimedPermit
from cbstore_sql.events import CallFinished
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock, SyncDriver
from tests.system.fleet.simulated import CountingStore

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=30.0, slow_after=2.0)


@pytest.fixture(params=["memory", "shared"])
def driver(request: pytest.FixtureRequest, make: Make, clock: Clock) -> SyncDriver:
    """A breaker that measures the duration of calls with the test's clock."""
    store = InMemoryStore(clock=clock) if request.param == "memory" else CountingStore(clock)
    driver = make(store, POLICY, max_staleness=3600.0)
    driver.breaker._controller.slow_calls._clock = clock
    return driver


def call(driver: SyncDriver, clock: Clock, seconds: float) -> None:
    driver.call("b", clock.advance, seconds)


def failures(driver: SyncDriver) -> int:
    return driver.snapshot("b").failure_count


def test_a_call_longer_than_slow_after_is_a_failure(driver: SyncDriver, clock: Clock) -> None:
    call(driver, clock, 2.1)
    assert failures(driver) == 1


def test_a_call_no_longer_than_slow_after_is_a_success(driver: SyncDriver, clock: Clock) -> None:
    call(driver, clock, 2.1)
    call(driver, clock, 2.0)
    assert failures(driver) == 0


def test_listeners_receive_a_slow_call_as_a_failure(driver: SyncDriver, clock: Clock) -> None:
    call(driver, clock, 2.1)
    assert [event.verdict for event in driver.events if isinstance(event, CallFinished)] == [Verdict.FAILURE]


def test_the_answer_of_a_slow_call_reaches_its_caller(driver: SyncDriver, clock: Clock) -> None:
    def late() -> str:
        clock.advance(9.0)
        return "late"

    assert driver.call("b", late) == "late"


def test_slow_calls_open_the_circuit_and_a_slow_probe_opens_it_again(driver: SyncDriver, clock: Clock) -> None:
    for _ in range(2):
        call(driver, clock, 2.1)
    assert driver.state("b") is State.OPEN
    clock.advance(30.0)
    driver.breaker._controller.view and driver.breaker._controller.view.clear()
    call(driver, clock, 2.1)
    assert driver.state("b") is State.OPEN
    clock.advance(30.0)
    driver.breaker._controller.view and driver.breaker._controller.view.clear()
    call(driver, clock, 2.0)
    assert driver.state("b") is State.CLOSED


def test_a_guarded_block_is_timed(driver: SyncDriver, clock: Clock) -> None:
    with driver.guard("b"):
        clock.advance(2.1)
    assert failures(driver) == 1


def test_a_call_with_admit_and_success_is_timed_from_admission_to_report(driver: SyncDriver, clock: Clock) -> None:
    permit = driver.admit("b")
    clock.advance(2.1)
    driver.do("success", permit)
    assert failures(driver) == 1


def test_a_stream_is_timed_until_its_first_progress(driver: SyncDriver, clock: Clock) -> None:
    with driver.guard("b") as permit:
        clock.advance(1.0)
        driver.breaker.progress(permit)
        clock.advance(60.0)
        driver.breaker.progress(permit)
    assert failures(driver) == 0
    with driver.guard("b") as permit:
        clock.advance(2.1)
        driver.breaker.progress(permit)
    assert failures(driver) == 1


def test_slow_calls_count_as_failures_in_an_outage(make: Make, clock: Clock) -> None:
    driver = make(CountingStore(clock), POLICY, max_staleness=3600.0)
    controller = driver.breaker._controller
    controller.slow_calls._clock = clock
    controller.outage.detector.is_out = True
    for _ in range(2):
        call(driver, clock, 2.1)
    assert driver.do("seen", "b").state is State.OPEN


def test_a_copied_permit_does_not_contain_the_admission_time() -> None:
    permit = TimedPermit("b", 3, "token")
    permit.admitted_at = 5.0
    copied = copy.copy(permit)  # copy uses the same protocol as pickle
    assert (type(copied), copied) == (Permit, permit)


def test_without_slow_after_a_long_call_is_a_success(make: Make, clock: Clock) -> None:
    driver = make(InMemoryStore(clock=clock), BreakerPolicy(failure_threshold=1))
    driver.breaker._controller.slow_calls._clock = clock
    call(driver, clock, 3600.0)
    assert driver.snapshot("b").failure_count == 0
