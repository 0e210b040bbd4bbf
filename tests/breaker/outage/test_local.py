"""The breakers that one process uses during an outage, and what the shared store has to hear of them afterwards."""

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


def test_the_answer_to_the_latest_question_is_known(local: LocalBreakers) -> None:
    local.note(CLEAN, 900.0)
    local.note(DIRTY, 900.0)
    local.note(CLEAN, 800.0)
    assert local.read("b").failure_count == 2


def test_of_many_names_those_noted_longest_ago_are_forgotten(
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


def test_a_later_answer_of_the_store_does_not_change_what_goes_on_here(local: LocalBreakers) -> None:
    local.note(DIRTY, 1000.0)
    fails(local, 1)
    local.note(CLEAN, 1001.0)
    assert local.read("b").state is State.OPEN
    local.delivered(taken(local))
    local.clear()
    assert local.read("b").failure_count == 0


def test_where_nothing_happened_nothing_is_reported(local: LocalBreakers) -> None:
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


def test_a_success_that_the_store_decided_clears_failures_not_yet_reported(local: LocalBreakers) -> None:
    fails(local, 1)
    fails(local, 1, uncounted=False)
    local.succeeded("b")
    assert not local.is_in_doubt
    assert taken(local) == LocalChanges("b", successes=1)
    local.succeeded("another")
    assert local.is_settled


def test_successes_are_reported_where_they_clear_failures(local: LocalBreakers) -> None:
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


def test_a_failure_that_the_store_may_have_counted_is_not_reported_but_a_success_after_it_is(
    local: LocalBreakers,
) -> None:
    fails(local, 1, uncounted=False)
    assert local.pending() == []
    assert local.is_in_doubt
    succeeds(local)
    assert not local.is_in_doubt
    assert taken(local) == LocalChanges("b", successes=1)


def test_a_circuit_that_opened_here_is_reported_for_the_rest_of_its_time(local: LocalBreakers, clock: Clock) -> None:
    local.note(CLEAN._replace(generation=4), clock.now)
    fails(local, 3)
    clock.advance(20.0)
    assert taken(local) == LocalChanges("b", 4, opened=True, open_for=40.0, opened_ago=20.0)


def test_a_circuit_whose_time_is_over_is_reported_for_a_probe_at_once(local: LocalBreakers, clock: Clock) -> None:
    fails(local, 3)
    clock.advance(100.0)
    assert taken(local) == LocalChanges("b", opened=True, open_for=0.0, opened_ago=100.0)


def test_an_open_circuit_is_decided_here_until_its_report_has_arrived(local: LocalBreakers) -> None:
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


def test_a_circuit_that_opened_elsewhere_is_not_reported(local: LocalBreakers) -> None:
    local.note(OPEN, 1000.0)
    local.settle(Permit("b", 3), Verdict.FAILURE, uncounted=True)
    assert local.take("b") is None


def test_a_circuit_known_to_be_open_is_remembered_for_a_store_that_lost_it(local: LocalBreakers, clock: Clock) -> None:
    local.note(OPEN, clock.now)
    local.note(DIRTY._replace(name="another"), clock.now)
    clock.advance(20.0)
    assert local.known_open() == [LocalChanges("b", 7, open_for=40.0)]
    clock.advance(40.0)
    assert local.known_open() == []


def test_a_success_clears_what_a_failure_in_doubt_would_add(local: LocalBreakers) -> None:
    permit = local.admit("b")
    local.settle(permit, Verdict.FAILURE, uncounted=True)
    local.settle(permit, Verdict.SUCCESS, uncounted=True)
    local.settle(permit, Verdict.FAILURE, uncounted=False)
    assert taken(local) == LocalChanges("b", successes=1)
    assert local.is_in_doubt


def test_a_circuit_opened_by_hand_is_reported_from_what_is_known_of_it(local: LocalBreakers, clock: Clock) -> None:
    local.note(OPEN, clock.now)
    local.force_open("b", 5.0)
    assert local.read("b").open_until == clock.now + 60.0, "never less"
    assert taken(local) == LocalChanges("b", 7, opened=True, open_for=60.0)
    local.force_open("c", 5.0)
    assert local.read("c").state is State.OPEN


def test_of_a_circuit_that_closed_again_here_only_the_success_is_left(local: LocalBreakers, clock: Clock) -> None:
    fails(local, 3)
    clock.advance(60.0)
    succeeds(local)
    assert taken(local) == LocalChanges("b", successes=1)


@pytest.mark.parametrize("may_be_counted", [False, True])
def test_failures_put_back_are_reported_unless_they_may_be_counted(local: LocalBreakers, may_be_counted: bool) -> None:
    fails(local, 2)
    local.put_back(taken(local), may_be_counted=may_be_counted)
    assert local.pending() == ([] if may_be_counted else ["b"])
    assert local.is_in_doubt is may_be_counted
    assert local.read("b").failure_count == 2, "they count here in any case"


@pytest.mark.parametrize("may_be_counted", [False, True])
def test_an_open_circuit_put_back_is_reported(local: LocalBreakers, may_be_counted: bool) -> None:
    fails(local, 3)
    changes = taken(local)
    local.put_back(changes, may_be_counted=may_be_counted)
    assert taken(local) == changes


def test_a_circuit_that_opens_while_its_failures_are_reported_is_reported_too(local: LocalBreakers) -> None:
    fails(local, 2)
    changes = taken(local)
    fails(local, 1)
    local.put_back(changes, may_be_counted=True)
    assert taken(local) == LocalChanges("b", opened=True, open_for=60.0)


def test_a_count_in_doubt_is_kept_until_the_store_took_a_write_of_that_breaker(local: LocalBreakers) -> None:
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


def test_a_count_in_doubt_is_out_of_date_in_a_later_generation(local: LocalBreakers, clock: Clock) -> None:
    local.note(CLEAN, clock.now)
    fails(local, 2, uncounted=False)
    local.clear()
    local.note(CLEAN._replace(generation=2), clock.now + 1.0)
    assert local.read("b").failure_count == 0
    assert not local.is_in_doubt


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_owes_nothing_and_no_probe_of_its_parent_is_under_way(local: LocalBreakers) -> None:
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
