"""Reports of failures contain the successes before them, so that counts across processes are exact."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, InMemoryStore, State, StoreUnavailableError
from cbstore_sql.breaker.view import View
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Row, Snapshot, Transition
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock, SyncDriver
from tests.system.fleet.simulated import NAME, CountingStore, SimulatedProcess

IN_A_ROW = BreakerPolicy(failure_threshold=5, recovery_timeout=1.0)
BY_RATE = BreakerPolicy(trip=FailureRate(normal=0.1, broken=0.5), recovery_timeout=1.0)
UP = BY_RATE.trip.failure_step if BY_RATE.trip else 0.0
DOWN = BY_RATE.trip.success_step if BY_RATE.trip else 0.0


class FailingStore(CountingStore):
    """A store that can lose a reply or refuse a statement."""

    error: StoreUnavailableError | None = None
    late = False

    def _apply(self, command: Command) -> Transition | None:
        if self.error is not None and not self.late:
            raise self.error
        transition = super()._apply(command)
        if self.error is not None:
            raise self.error
        return transition


@pytest.fixture
def store(clock: Clock) -> FailingStore:
    return FailingStore(clock)


def fleet(store: InMemoryStore, clock: Clock, policy: BreakerPolicy, size: int = 2) -> list[SimulatedProcess]:
    """Return processes whose views show the circuit without failures."""
    processes = [SimulatedProcess(store, policy, clock) for _ in range(size)]
    for process in processes:
        process.succeed()
        process.refresh()
    clock.advance(0.6)
    for process in processes:
        process.refresh()  # The first successes are now too old for a report.
    return processes


def fail_often(process: SimulatedProcess, times: int) -> None:
    for _ in range(times):
        process.fail()


def test_a_success_between_the_failures_of_two_processes_keeps_the_circuit_closed(
    store: FailingStore, clock: Clock
) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    fail_often(first, 4)
    second.succeed()  # sees the circuit clean, so nothing is written
    second.fail()
    assert (store.read(NAME).state, store.read(NAME).failure_count) == (State.CLOSED, 1)


def test_without_a_success_between_them_the_failures_of_two_processes_open_the_circuit(
    store: FailingStore, clock: Clock
) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    fail_often(first, 4)
    second.fail()
    assert store.read(NAME).state is State.OPEN


def test_a_success_is_sent_with_only_one_report(store: FailingStore, clock: Clock) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    fail_often(first, 2)
    second.succeed()
    fail_often(second, 2)
    assert store.read(NAME).failure_count == 2


def test_a_report_counts_its_successes_before_its_failure(store: FailingStore, clock: Clock) -> None:
    first, second = fleet(store, clock, BY_RATE)
    fail_often(first, 2)
    second.succeed()
    second.fail()
    assert store.read(NAME).score == pytest.approx(3 * UP - DOWN)


def test_successes_never_lower_the_score_below_zero(store: FailingStore, clock: Clock) -> None:
    first, second = fleet(store, clock, BY_RATE)
    first.fail()
    for _ in range(9):
        second.succeed()
    second.fail()
    assert store.read(NAME).score == pytest.approx(UP)


@pytest.mark.parametrize(("age", "state"), [(0.49, State.CLOSED), (0.51, State.OPEN)])
def test_a_report_carries_the_successes_of_the_last_half_second(
    store: FailingStore, clock: Clock, age: float, state: State
) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    second.succeed()
    clock.advance(age)
    first.refresh()
    second.refresh()
    fail_often(first, 4)
    second.fail()
    assert store.read(NAME).state is state


@pytest.mark.parametrize(("age", "carried"), [(47.0, 1), (49.0, 0)])
def test_with_a_slow_refresh_a_report_carries_the_successes_of_two_periods(
    clock: Clock, age: float, carried: int
) -> None:
    view = View(30.0, clock)
    permit = Permit("b", 0)
    for _ in range(2):
        view.record(Snapshot.of("b", Row(), as_of=1.0), clock(), refreshed=True)
        clock.advance(age / 2)
        view.takes_success(permit)
    # The first success is half as old as it seems: only the refresh below moves the clock.
    clock.advance(age / 2)
    assert len(view.take_successes(permit)) == 1 + carried


def test_successes_of_an_earlier_generation_are_not_carried(store: FailingStore, clock: Clock) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    second.succeed()
    store.reset(NAME)
    first.refresh()
    second.refresh()
    fail_often(first, 4)
    second.fail()
    assert store.read(NAME).state is State.OPEN


def test_a_refresh_that_finds_failures_sends_the_unreported_successes(store: FailingStore, clock: Clock) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    fail_often(first, 4)
    second.succeed()
    second.refresh()
    assert store.read(NAME).failure_count == 0
    writes = store.writes
    second.refresh()
    assert store.writes == writes, "a success is sent once"


def test_a_clean_circuit_costs_no_write(store: FailingStore, clock: Clock) -> None:
    processes = fleet(store, clock, BY_RATE, size=5)
    for _ in range(20):
        clock.advance(0.1)
        for process in processes:
            process.succeed()
            process.refresh()
    assert store.writes == 0


def test_successes_under_a_failure_rate_are_sent_together_at_the_next_refresh(
    store: FailingStore, clock: Clock
) -> None:
    first, second = fleet(store, clock, BY_RATE)
    fail_often(first, 3)
    second.refresh()
    writes = store.writes
    for _ in range(2):
        second.succeed()
    assert store.writes == writes
    second.refresh()
    assert store.writes == writes + 1
    assert store.read(NAME).score == pytest.approx(3 * UP - 2 * DOWN)


def test_without_a_refresh_a_success_under_a_failure_rate_is_reported_at_once(
    store: FailingStore, clock: Clock
) -> None:
    process = SimulatedProcess(store, BY_RATE, clock)
    fail_often(process, 3)
    process.succeed()
    assert store.read(NAME).score == pytest.approx(3 * UP - DOWN)


def test_a_breaker_without_a_view_reports_each_success_at_once(store: FailingStore, clock: Clock) -> None:
    strict = SimulatedProcess(store, BY_RATE, clock, max_staleness=0.0)
    fail_often(strict, 3)
    strict.succeed()
    assert store.read(NAME).score == pytest.approx(3 * UP - DOWN)
    strict.fail()
    assert store.read(NAME).score == pytest.approx(4 * UP - DOWN)


def test_the_report_of_a_probe_carries_no_other_successes(clock: Clock) -> None:
    view = View(0.25, clock)
    view.record(Snapshot.of("b", Row(), as_of=1.0), clock())
    assert view.takes_success(Permit("b", 0))
    assert view.take_successes(Permit("b", 0, "token")) == []
    assert len(view.take_successes(Permit("b", 0))) == 1


def test_a_forked_child_inherits_no_unreported_successes(clock: Clock) -> None:
    view = View(0.25, clock)
    view.record(Snapshot.of("b", Row(), as_of=1.0), clock())
    view.takes_success(Permit("b", 0))
    child = os.fork()
    if child == 0:
        left = 1
        try:
            left = len(view.take_successes(Permit("b", 0)))
        finally:
            os._exit(left)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(view.take_successes(Permit("b", 0))) == 1


@pytest.mark.parametrize(("applied", "late", "score"), [(None, True, 3 * UP - DOWN), (False, False, 3 * UP - DOWN)])
def test_a_success_is_sent_again_only_if_its_failed_report_surely_had_no_effect(
    store: FailingStore, clock: Clock, applied: bool | None, late: bool, score: float
) -> None:
    first, second = fleet(store, clock, BY_RATE)
    fail_often(first, 3)
    second.succeed()
    store.error, store.late = StoreUnavailableError("lost", applied=applied), late
    second.refresh()
    store.error = None
    second.refresh()
    assert store.read(NAME).score == pytest.approx(score)


def test_a_failed_background_report_does_not_begin_an_outage(store: FailingStore, clock: Clock) -> None:
    first, second = fleet(store, clock, BY_RATE)
    fail_often(first, 3)
    second.succeed()
    store.error = StoreUnavailableError("slow", applied=None)
    second.refresh()
    assert not second.controller.is_out


def test_the_local_breaker_of_an_outage_knows_the_successes_before_the_outage(
    store: FailingStore, clock: Clock
) -> None:
    first, second = fleet(store, clock, IN_A_ROW)
    fail_often(first, 2)
    clock.advance(0.01)
    fail_often(second, 2)  # knows of four failures
    store.record_success(NAME, IN_A_ROW)
    clock.advance(0.01)
    second.refresh()  # and of none
    fail_often(first, 4)
    second.succeed()
    store.error = StoreUnavailableError("gone", applied=False)
    second.fail()
    assert second.controller.is_out
    assert second.admit() is not None, "one failure after a success"


def test_unreported_successes_of_other_breakers_survive_the_beginning_of_an_outage(
    store: FailingStore, clock: Clock
) -> None:
    first, second = fleet(store, clock, BY_RATE)
    fail_often(first, 9)  # a tenth would open it
    second.refresh()
    second.succeed()
    store.error = StoreUnavailableError("gone", applied=None)
    second.controller._begin_outage("another", store.error)
    second.fail()
    assert second.admit() is not None


def call(driver: SyncDriver, fails: bool) -> None:
    def dependency() -> None:
        if fails:
            raise ConnectionError

    with suppress(ConnectionError):
        driver.call(NAME, dependency)


def test_both_breakers_carry_successes(make: Make, clock: Clock) -> None:
    """Run both kinds of breaker over one store, with views that are never refreshed."""
    store = CountingStore(clock)
    first, second = (make(store, IN_A_ROW, max_staleness=3600.0) for _ in range(2))
    call(second, fails=False)
    second.breaker._controller.view.take_successes(Permit(NAME, 0))
    for _ in range(4):
        call(first, fails=True)
    call(second, fails=False)
    call(second, fails=True)
    assert (store.read(NAME).state, store.read(NAME).failure_count) == (State.CLOSED, 1)
