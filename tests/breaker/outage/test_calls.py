"""The calls of a breaker whose store is unavailable: what each policy makes of them, and what is kept."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, InvalidNameError, State
from cbstore_sql.breaker.outage.calls import OutageCalls
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import LocalPermit, Permit, Row, Snapshot, UnreportedPermit, Verdict
from cbstore_sql.errors import StoreUnavailableError, TooManyBreakersError
from tests.breaker.drivers import Clock

GONE = StoreUnavailableError("gone", applied=False)
DIRTY = Snapshot.of("b", Row(generation=4, failure_count=2), 5000.0)
NOBODY: frozenset[str] = frozenset()


class Watched(OutageCalls):
    """Counts how often somebody was sent to see whether the store answers."""

    def __init__(self, clock: Clock, policy: OutagePolicy = "local") -> None:
        breaker = BreakerPolicy(failure_threshold=3)
        super().__init__(lambda _: breaker, lambda _: None, policy=policy, reopen_on_no_verdict=False, clock=clock)
        self.watches = 0
        self.watch = self._count

    def _count(self) -> None:
        self.watches += 1


def begun(clock: Clock, policy: OutagePolicy = "local", view: View | None = None) -> Watched:
    calls = Watched(clock, policy)
    calls.begin("b", GONE, view)
    return calls


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        ("local", LocalPermit),
        ("allow", UnreportedPermit),
        ("block", CircuitBreakerOpenError),
        ("raise", StoreUnavailableError),
    ],
)
def test_each_policy_admits_or_refuses(policy: OutagePolicy, outcome: type, clock: Clock) -> None:
    calls = begun(clock, policy)
    assert (calls.decides("b"), calls.is_local, calls.watches) == (True, policy == "local", 1)
    if issubclass(outcome, Exception):
        with pytest.raises(outcome):
            calls.admit("b", NOBODY)
    else:
        assert type(calls.admit("b", NOBODY)) is outcome
    assert calls.watches == 2, "each call sees to it that somebody watches"


def test_an_invalid_name_is_refused_before_anything_else(clock: Clock) -> None:
    calls = begun(clock, "allow")
    with pytest.raises(InvalidNameError):
        calls.admit("\0", NOBODY)


def test_an_outage_begins_with_what_the_view_knew(clock: Clock) -> None:
    view = View(0.25, clock)
    view.record(DIRTY, clock())
    calls = begun(clock, view=view)
    assert calls.local.read("b").failure_count == 2
    assert view.fresh_snapshot("b") is None


@pytest.mark.parametrize(("policy", "failures"), [("local", 0), ("allow", 2)])
def test_only_the_policy_local_takes_over_unreported_successes(
    policy: OutagePolicy, failures: int, clock: Clock
) -> None:
    view = View(0.25, clock)
    view.record(DIRTY._replace(failure_count=0), clock())
    assert view.takes_success(DIRTY.permit)
    view.record(DIRTY, clock())
    assert begun(clock, policy, view).local.read("b").failure_count == failures


@pytest.mark.parametrize(("policy", "failures"), [("local", 1), ("allow", 0)])
def test_a_verdict_counts_here_with_the_policy_local_only(policy: OutagePolicy, failures: int, clock: Clock) -> None:
    calls = begun(clock, policy)
    calls.settle(Permit("b", 0), Verdict.FAILURE, uncounted=True)
    assert calls.local.read("b").failure_count == failures
    assert calls.watches == 1


def test_a_call_that_ends_after_the_outage_is_watched_for(clock: Clock) -> None:
    calls = begun(clock)
    calls.detector.try_again()
    calls.settle(Permit("b", 0), Verdict.FAILURE, uncounted=True)
    assert calls.watches == 2


def test_a_circuit_that_opened_here_is_decided_here_until_the_store_knows(clock: Clock) -> None:
    calls = begun(clock)
    calls.local.force_open("b", 60.0)
    calls.detector.try_again()
    assert calls.decides("b")
    assert not calls.decides("another")
    assert calls.local.read("b").state is State.OPEN


def test_a_claim_without_an_answer_and_the_verdict_of_a_probe_are_kept(clock: Clock) -> None:
    calls = begun(clock, "block")
    calls.claimed("b", "token")
    calls.settle(Permit("b", 5, "me"), Verdict.FAILURE, uncounted=False)
    assert calls.watches == 2
    assert [calls.outbox.next(), calls.outbox.next(), calls.outbox.next()][2] is None
    assert calls.outbox.is_empty


def test_a_full_namespace_is_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    calls = Watched(clock)
    for _ in range(2):
        calls.log_full(TooManyBreakersError("default", 1))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
