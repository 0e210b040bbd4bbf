"""What one process keeps of its breakers for the time without a store, and what it owes the store afterwards."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, State
from cbstore_sql.breaker.outage.local import LocalBreakers, LocalChanges
from cbstore_sql.core.model import Permit, Row, Snapshot, Verdict
from cbstore_sql.events import BreakerEvent
from tests.breaker.drivers import Clock

POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0)

CLEAN = Snapshot.of("b", Row(), 5000.0)
DIRTY = Snapshot.of("b", Row(failure_count=2), 5000.0)
OPEN = Snapshot.of("b", Row("open", generation=7, open_until=5060.0), 5000.0)


@pytest.fixture
def told() -> list[BreakerEvent]:
    return []


@pytest.fixture
def local(clock: Clock, told: list[BreakerEvent]) -> LocalBreakers:
    return LocalBreakers(lambda _: POLICY, told.append, reopen_on_no_verdict=False, clock=clock)


def fails(local: LocalBreakers, times: int, *, uncounted: bool = True) -> None:
    for _ in range(times):
        local.settle(Permit("b", local.read("b").generation), Verdict.FAILURE, uncounted=uncounted)


def test_what_was_asked_for_last_is_known_and_of_one_moment_what_was_told_last(local: LocalBreakers) -> None:
    local.note(CLEAN, 900.0)
    local.note(DIRTY, 900.0)
    local.note(CLEAN, 800.0)
    assert local.read("b").failure_count == 2


def test_moments_are_moved_to_the_clock_of_the_process(local: LocalBreakers, clock: Clock) -> None:
    row = Row("half_open", "open", 6, 3, 2, 4990.0, 4995.0, 60.0, "owner", 5020.0)
    local.note(Snapshot.of("b", row, 5000.0), clock.now)
    assert local.read("b") == Snapshot(
        "b", State.HALF_OPEN, 6, 3, 2, clock.now - 10.0, clock.now - 5.0, 60.0, "owner", clock.now + 20.0, clock.now
    )


def test_what_never_was_and_what_was_before_the_process_s_clock_began_is_moment_zero(local: LocalBreakers) -> None:
    local.note(Snapshot.of("b", Row(last_failure_time=1.0), 5000.0), 1000.0)
    snapshot = local.read("b")
    assert (snapshot.last_failure_time, snapshot.open_until, snapshot.probe_until) == (0.0, 0.0, 0.0)
    local.note(CLEAN._replace(name="c"), 6000.0)
    assert local.read("c").open_until == 0.0, "though the process's clock is ahead"


def test_what_is_heard_later_does_not_change_what_goes_on_here(local: LocalBreakers) -> None:
    local.note(DIRTY, 1000.0)
    fails(local, 1)
    local.note(CLEAN, 1001.0)
    assert local.read("b").state is State.OPEN
    local.clear()
    assert local.read("b").failure_count == 0


def test_nothing_is_owed_where_nothing_happened(local: LocalBreakers) -> None:
    local.note(OPEN, 1000.0)
    with pytest.raises(CircuitBreakerOpenError):
        local.admit("b")
    assert local.next_leftover() is None


def test_failures_are_owed_once(local: LocalBreakers) -> None:
    fails(local, 2)
    assert local.next_leftover() == LocalChanges("b", None, 2)
    assert local.next_leftover() is None


def test_what_the_store_may_have_counted_is_not_owed(local: LocalBreakers) -> None:
    local.settle(Permit("b", 0), Verdict.SUCCESS, uncounted=True)
    fails(local, 1, uncounted=False)
    assert local.next_leftover() is None


def test_a_circuit_that_opened_here_is_owed_for_the_rest_of_its_time(local: LocalBreakers, clock: Clock) -> None:
    fails(local, 3)
    clock.advance(20.0)
    assert local.next_leftover() == LocalChanges("b", 40.0, 0)


def test_a_circuit_whose_time_is_over_is_owed_for_none(local: LocalBreakers, clock: Clock) -> None:
    fails(local, 3)
    clock.advance(100.0)
    assert local.next_leftover() == LocalChanges("b", 0.0, 0)


def test_a_circuit_that_opened_elsewhere_is_not_owed(local: LocalBreakers) -> None:
    local.note(OPEN, 1000.0)
    local.settle(Permit("b", 3), Verdict.FAILURE, uncounted=True)
    assert local.next_leftover() is None
    local.put_back(LocalChanges("b", None, 1), counted=False)
    assert local.next_leftover() == LocalChanges("b", None, 0)


def test_what_a_success_took_back_is_not_owed_for_a_failure_that_may_have_been_counted(local: LocalBreakers) -> None:
    permit = local.admit("b")
    local.settle(permit, Verdict.FAILURE, uncounted=True)
    local.settle(permit, Verdict.SUCCESS, uncounted=True)
    local.settle(permit, Verdict.FAILURE, uncounted=False)
    assert local.next_leftover() == LocalChanges("b", None, 0)


def test_a_circuit_opened_by_hand_is_owed_from_what_is_known_of_it(local: LocalBreakers, clock: Clock) -> None:
    local.note(OPEN, clock.now)
    local.force_open("b", 5.0)
    assert local.read("b").open_until == clock.now + 60.0, "never less"
    assert local.next_leftover() == LocalChanges("b", 60.0, 0)
    local.force_open("c", 5.0)
    assert local.read("c").state is State.OPEN


def test_a_circuit_that_closed_again_here_is_owed_nothing(local: LocalBreakers, clock: Clock) -> None:
    fails(local, 3)
    clock.advance(60.0)
    local.settle(local.admit("b"), Verdict.SUCCESS, uncounted=True)
    assert local.next_leftover() == LocalChanges("b", None, 0)


@pytest.mark.parametrize(("counted", "failures"), [(False, 2), (True, 0)])
def test_failures_put_back_are_owed_unless_they_may_be_counted(
    local: LocalBreakers, counted: bool, failures: int
) -> None:
    fails(local, 2)
    leftover = local.next_leftover()
    assert leftover is not None
    local.put_back(leftover, counted=counted)
    assert local.next_leftover() == LocalChanges("b", None, failures)


def test_failures_put_back_are_not_owed_where_a_success_came_meanwhile(local: LocalBreakers) -> None:
    fails(local, 2)
    leftover = local.next_leftover()
    assert leftover is not None
    local.settle(local.admit("b"), Verdict.SUCCESS, uncounted=True)
    local.put_back(leftover, counted=False)
    assert local.next_leftover() == LocalChanges("b", None, 0)


@pytest.mark.parametrize("counted", [False, True])
def test_an_open_circuit_put_back_is_owed(local: LocalBreakers, counted: bool) -> None:
    fails(local, 3)
    leftover = local.next_leftover()
    assert leftover is not None
    local.put_back(leftover, counted=counted)
    assert local.next_leftover() == leftover


def test_a_circuit_that_opens_while_its_failures_are_brought_is_owed(local: LocalBreakers) -> None:
    fails(local, 2)
    leftover = local.next_leftover()
    assert leftover is not None
    fails(local, 1)
    local.put_back(leftover, counted=True)
    assert local.next_leftover() == LocalChanges("b", 60.0, 0)


@pytest.mark.parametrize(("failures", "parts"), [(0, [0]), (1, [1]), (2, [1, 1]), (5, [1, 4])])
def test_of_several_failures_the_first_is_brought_alone(failures: int, parts: list[int]) -> None:
    assert [part.failures for part in LocalChanges("b", None, failures).parts()] == parts
