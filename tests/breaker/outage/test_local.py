"""Tests of the breakers that one process uses in an outage, and of the changes that it reports afterwards."""

from __future__ import annotations

import os

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, State
from cbstore_sql.breaker.outage import local as module
from cbstore_sql.breaker.outage.changes import LocalChanges
from cbstore_sql.breaker.outage.local import LocalBreakers
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


def succeeds(local: LocalBreakers, times: int = 1) -> None:
    for _ in range(times):
        local.settle(local.admit("b"), Verdict.SUCCESS, uncounted=True)


def taken(local: LocalBreakers) -> LocalChanges:
    changes = local.take("b")
    assert changes is not None
    return changes


def test_the_answer_to_the_latest_read_wins(local: LocalBreakers) -> None:
    local.note(CLEAN, 900.0)
    local.note(DIRTY, 900.0)
    local.note(CLEAN, 800.0)
    assert local.read("b").failure_count == 2


def test_the_names_noted_longest_ago_are_forgotten_first(
    clock: Clock, told: list[BreakerEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 20)
    local = LocalBreakers(lambda _: POLICY, told.append, reopen_on_no_verdict=False, clock=clock)
    local.note(OPEN, 1000.0)
    local.note(OPEN._replace(name="old"), 1000.0)
    for number in range(1000):
        local.note(CLEAN._replace(name=f"used once {number}"), 1000.0)
        local.note(OPEN, 1000.0)
    assert len(local._known) <= 20
    assert local.read("b").state is State.OPEN, "it was noted again and again"
    assert local.read("old").state is State.CLOSED


def test_a_later_answer_of_the_store_does_not_replace_local_changes(local: LocalBreakers) -> None:
    local.note(DIRTY, 1000.0)
    fails(local, 1)
    local.note(CLEAN, 1001.0)
    assert local.read("b").state is State.OPEN
    local.delivered(taken(local))
    local.clear()
    assert local.read("b").failure_count == 0


def test_a_breaker_without_local_changes_is_not_reported(local: LocalBreakers) -> None:
    local.note(OPEN, 1000.0)
    with pytest.raises(CircuitBreakerOpenError):
        local.admit("b")
    assert local.pending() == []
    assert local.take("b") is None


def test_failures_are_reported_once(local: LocalBreakers) -> None:
    fails(local, 2)
    assert not local.is_open_here("b")
    assert local.pending() == ["b"]
    assert taken(local) == LocalChanges("b", failures=2)
    assert local.take("b") is None


def test_a_success_counted_by_the_store_clears_unreported_failures(local: LocalBreakers) -> None:
    fails(local, 1)
    fails(local, 1, uncounted=False)
    local.succeeded("b")
    assert not local.is_in_doubt
    assert taken(local) == LocalChanges("b", successes=1)
    local.succeeded("another")
    assert local.is_settled


def test_successes_after_failures_are_reported(local: LocalBreakers) -> None:
    local.note(DIRTY, 1000.0)
    succeeds(local, 1000)
    fails(local, 1)
    assert taken(local) == LocalChanges("b", 0, successes=1000, failures=1)


def test_successes_of_a_clean_breaker_are_not_reported(local: LocalBreakers) -> None:
    local.note(CLEAN, 1000.0)
    succeeds(local, 5)
    assert local.pending() == []
    fails(local, 1)
    succeeds(local, 2)
    assert taken(local) == LocalChanges("b", 0, successes=2)


def test_a_failure_the_store_may_have_counted_is_not_reported_but_a_later_success_is(
    local: LocalBreakers,
) -> None:
    fails(local, 1, uncounted=False)
    assert local.pending() == []
    assert local.is_in_doubt
    succeeds(local)
    assert not local.is_in_doubt
    assert taken(local) == LocalChanges("b", successes=1)


def test_a_locally_opened_circuit_is_reported_with_its_remaining_open_time(local: LocalBreakers, clock: Clock) -> None:
    local.note(CLEAN._replace(generation=4), clock.now)
    fails(local, 3)
    clock.advance(20.0)
    assert taken(local) == LocalChanges("b", 4, opened=True, open_for=40.0, opened_ago=20.0)


def test_a_locally_opened_circuit_past_its_open_time_is_reported_with_zero_seconds(
    local: LocalBreakers, clock: Clock
) -> None:
    fails(local, 3)
    clock.advance(100.0)
    assert taken(local) == LocalChanges("b", opened=True, open_for=0.0, opened_ago=100.0)


def test_a_locally_opened_circuit_rejects_calls_until_its_report_is_delivered(local: LocalBreakers) -> None:
    fails(local, 3)
    assert local.is_open_here("b")
    changes = taken(local)
    assert local.is_open_here("b")
    with pytest.raises(CircuitBreakerOpenError):
        local.admit("b")
    local.delivered(changes)
    assert not local.is_open_here("b")
    assert local.pending() == []


def test_open_circuits_are_reported_first(local: LocalBreakers) -> None:
    for name in ("a", "c"):
        local.settle(Permit(name, 0), Verdict.FAILURE, uncounted=True)
    fails(local, 3)
    assert local.pending() == ["b", "a", "c"]


def test_a_circuit_that_another_process_opened_is_not_reported(local: LocalBreakers) -> None:
    local.note(OPEN, 1000.0)
    local.settle(Permit("b", 3), Verdict.FAILURE, uncounted=True)
    assert local.take("b") is None


def test_a_circuit_seen_open_is_kept_so_that_an_emptied_store_can_be_restored(
    local: LocalBreakers, clock: Clock
) -> None:
    local.note(OPEN, clock.now)
    local.note(DIRTY._replace(name="another"), clock.now)
    clock.advance(20.0)
    assert local.known_open() == [LocalChanges("b", 7, open_for=40.0)]
    clock.advance(40.0)
    assert local.known_open() == []


def test_a_success_clears_the_failures_before_a_failure_in_doubt(local: LocalBreakers) -> None:
    permit = local.admit("b")
    local.settle(permit, Verdict.FAILURE, uncounted=True)
    local.settle(permit, Verdict.SUCCESS, uncounted=True)
    local.settle(permit, Verdict.FAILURE, uncounted=False)
    assert taken(local) == LocalChanges("b", successes=1)
    assert local.is_in_doubt


def test_a_forced_open_is_reported_with_the_known_generation_and_open_time(local: LocalBreakers, clock: Clock) -> None:
    local.note(OPEN, clock.now)
    local.force_open("b", 5.0)
    assert local.read("b").open_until == clock.now + 60.0, "never less"
    assert taken(local) == LocalChanges("b", 7, opened=True, open_for=60.0)
    local.force_open("c", 5.0)
    assert local.read("c").state is State.OPEN


def test_a_circuit_that_a_local_probe_closed_is_reported_as_one_success(local: LocalBreakers, clock: Clock) -> None:
    fails(local, 3)
    clock.advance(60.0)
    succeeds(local)
    assert taken(local) == LocalChanges("b", successes=1)


@pytest.mark.parametrize("may_be_counted", [False, True])
def test_failures_put_back_are_reported_unless_the_store_may_have_counted_them(
    local: LocalBreakers, may_be_counted: bool
) -> None:
    fails(local, 2)
    local.put_back(taken(local), may_be_counted=may_be_counted)
    assert local.pending() == ([] if may_be_counted else ["b"])
    assert local.is_in_doubt is may_be_counted
    assert local.read("b").failure_count == 2, "they count here in any case"


@pytest.mark.parametrize("may_be_counted", [False, True])
def test_an_opening_put_back_is_reported_again(local: LocalBreakers, may_be_counted: bool) -> None:
    fails(local, 3)
    changes = taken(local)
    local.put_back(changes, may_be_counted=may_be_counted)
    assert taken(local) == changes


def test_a_circuit_that_opens_during_a_report_of_its_failures_is_reported_too(local: LocalBreakers) -> None:
    fails(local, 2)
    changes = taken(local)
    fails(local, 1)
    local.put_back(changes, may_be_counted=True)
    assert taken(local) == LocalChanges("b", opened=True, open_for=60.0)


def test_a_count_in_doubt_is_kept_until_the_store_accepts_a_write_of_the_breaker(local: LocalBreakers) -> None:
    local.note(CLEAN, 1000.0)
    fails(local, 2, uncounted=False)
    local.clear()
    local.note(CLEAN, 1001.0)
    assert local.read("b").failure_count == 2
    local.forget("another")
    assert local.is_in_doubt
    local.forget("b")
    assert not local.is_in_doubt
    assert local.read("b").failure_count == 0


def test_a_later_generation_drops_a_count_in_doubt(local: LocalBreakers, clock: Clock) -> None:
    local.note(CLEAN, clock.now)
    fails(local, 2, uncounted=False)
    local.clear()
    local.note(CLEAN._replace(generation=2), clock.now + 1.0)
    assert local.read("b").failure_count == 0
    assert not local.is_in_doubt


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_inherits_no_pending_report_and_no_running_probe(local: LocalBreakers) -> None:
    fails(local, 2)
    local.settle(Permit("another", 0), Verdict.FAILURE, uncounted=False)
    local.force_open("probed", 0.0)
    assert local.admit("probed").is_probe
    child = os.fork()
    if child == 0:
        inherits = local.pending() or local.is_in_doubt or not local.admit("probed").is_probe
        os._exit(int(bool(inherits)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert local.pending() == ["probed", "b"]
