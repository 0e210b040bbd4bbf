"""A circuit that has just closed admits a growing share of the calls."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, InMemoryStore, State
from cbstore_sql.events import Rejected
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock, SyncDriver
from tests.system.fleet.simulated import NAME, CountingStore, SimulatedProcess

POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=1.0, ramp_up=30.0)


def open_and_close(store: InMemoryStore, clock: Clock, name: str = "b") -> None:
    store.record_failure(name, POLICY)
    clock.advance(1.0)
    probe = store.claim_probe(name, POLICY)
    assert probe is not None
    store.record_success(probe.permit, POLICY)


def admitted(driver: SyncDriver, calls: int) -> int:
    count = 0
    for _ in range(calls):
        try:
            driver.call("b", str)
            count += 1
        except CircuitBreakerOpenError:
            pass
    return count


@pytest.mark.parametrize(("after", "share"), [(0.0, 0.1), (10.0, 0.4), (20.0, 0.7), (30.0, 1.0)])
def test_the_admitted_share_grows_with_time(make: Make, clock: Clock, after: float, share: float) -> None:
    store = InMemoryStore(clock=clock)
    open_and_close(store, clock)
    clock.advance(after)
    assert abs(admitted(make(store, POLICY), 100) - 100 * share) <= 1


def test_a_refusal_by_the_ramp_has_the_reason_ramp_up(make: Make, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    open_and_close(store, clock)
    driver = make(store, POLICY)
    driver.breaker._controller._shared._ramps._draw = lambda: 0.5
    with pytest.raises(CircuitBreakerOpenError) as refused:
        driver.call("b", str)
    assert (refused.value.name, refused.value.state, refused.value.reason) == ("b", "closed", "ramp_up")
    assert 0.0 <= refused.value.retry_after <= 30.0
    rejected = next(event for event in driver.events if isinstance(event, Rejected))
    assert (rejected.state, rejected.reason) == (State.CLOSED, "ramp_up")


def test_a_process_that_answers_from_its_view_applies_the_ramp(clock: Clock) -> None:
    store = CountingStore(clock)
    open_and_close(store, clock, NAME)
    process = SimulatedProcess(store, POLICY, clock)
    due = count = 0.0
    for _ in range(400):
        clock.advance(0.1)
        elapsed = clock.now - store.read(NAME).closed_at
        due += min(1.0, 0.1 + 0.9 * elapsed / 30.0)
        try:
            process.succeed()
            count += 1
        except CircuitBreakerOpenError:
            pass
        assert abs(count - due) <= 1.0
        if process.view is not None and process.view.staleness().get(NAME, 0.0) > 0.19:
            process.refresh()
    assert store.writes == 3, "no call of the ramp is written"


def test_a_reset_skips_the_ramp(make: Make, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    open_and_close(store, clock)
    store.reset("b")
    assert admitted(make(store, POLICY), 20) == 20


def test_a_circuit_that_never_opened_has_no_ramp(make: Make, clock: Clock) -> None:
    assert admitted(make(InMemoryStore(clock=clock), POLICY), 20) == 20


def test_the_fallback_answers_for_a_call_that_the_ramp_refuses(make: Make, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    open_and_close(store, clock)
    driver = make(store, POLICY, fallback=lambda refused: refused.reason)
    assert {driver.call("b", lambda: "made") for _ in range(20)} == {"made", "ramp_up"}


def test_a_ramp_continues_in_an_outage(clock: Clock) -> None:
    store = CountingStore(clock)
    open_and_close(store, clock, NAME)
    process = SimulatedProcess(store, POLICY, clock)
    process._run(process.controller.insight.snapshot(NAME))
    process.controller.outage.detector.is_out = True
    clock.advance(10.0)
    count = 0
    for _ in range(100):
        try:
            process.admit()
            count += 1
        except CircuitBreakerOpenError:
            pass
    assert abs(count - 40) <= 1
