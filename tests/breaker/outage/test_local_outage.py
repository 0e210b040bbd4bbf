"""In an outage with the policy "local", each process uses breakers in memory and keeps open circuits open."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, State, StoreUnavailableError
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock
from tests.breaker.outage.test_store_outage import Failing
from tests.breaker.test_circuit_breaker import Down, fail

POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0)
GONE = StoreUnavailableError("gone", applied=False)
UNKNOWN = StoreUnavailableError("gone")


@pytest.fixture
def failing(clock: Clock) -> Failing:
    return Failing(clock)


def outage(store: Failing, error: StoreUnavailableError | None) -> None:
    store.on_read = store.on_write = error


def fails(breaker: object, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Down):
            breaker.call("b", fail)  # type: ignore[attr-defined] # a driver


def test_failures_in_an_outage_open_the_circuit_in_this_process(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    fails(breaker, 3)
    with pytest.raises(CircuitBreakerOpenError) as refused:
        breaker.call("b", lambda: None)
    assert 0.0 < refused.value.retry_after <= 60.0
    assert breaker.call("another", lambda: "answer") == "answer"
    assert breaker.told() == ["StoreDegraded", "Opened", "Rejected"]


def test_failures_before_the_outage_count_in_the_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    fails(breaker, 2)
    outage(failing, GONE)
    fails(breaker, 1)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: None)


def test_a_circuit_seen_open_stays_open_in_the_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    failing.force_open("b", 60.0)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: None)
    outage(failing, GONE)
    breaker.call("another", lambda: None)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: None)


def test_a_circuit_opened_in_the_outage_is_open_for_all_processes_afterwards(
    make: Make, failing: Failing, clock: Clock
) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    fails(breaker, 3)
    outage(failing, None)
    assert breaker.do("check_store")
    snapshot = failing.read("b")
    assert snapshot.state is State.OPEN
    assert 0.0 < snapshot.open_until - clock.now <= 60.0
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: None)


def test_failures_in_the_outage_are_added_to_the_store_afterwards(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    fails(breaker, 1)
    outage(failing, GONE)
    fails(breaker, 1)
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").failure_count == 2


def test_a_late_failure_of_another_generation_is_not_added_to_the_store(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    late = breaker.admit("b")
    failing.reset("b")
    failing.record_failure("b")
    breaker.snapshot("b")
    outage(failing, GONE)
    breaker.call("another", lambda: None)
    breaker.do("failure", late)
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").failure_count == 1


def test_a_success_in_the_outage_clears_the_failures_before_it(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    fails(breaker, 2)
    breaker.call("b", lambda: None)
    fails(breaker, 1)
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").failure_count == 1


def test_a_failure_the_store_may_have_counted_is_not_added_again(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    failing.on_write = UNKNOWN
    fails(breaker, 2)
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").failure_count == 1, "the second was decided here"


def test_a_circuit_that_another_process_opened_is_not_changed(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    fails(breaker, 3)
    outage(failing, None)
    theirs = failing.force_open("b", 5.0).snapshot
    assert breaker.do("check_store")
    assert failing.read("b") == theirs


def test_a_report_that_fails_is_repeated_at_the_next_recovery(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    fails(breaker, 3)
    failing.on_read = None
    assert not breaker.do("check_store")
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").state is State.OPEN


def test_a_call_admitted_before_the_outage_counts_in_the_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, BreakerPolicy(failure_threshold=1))
    permit = breaker.admit("b")
    outage(failing, GONE)
    breaker.do("failure", permit)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: None)


def test_a_call_admitted_in_the_outage_counts_afterwards(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    failed, answered = breaker.admit("b"), breaker.admit("b")
    outage(failing, None)
    assert breaker.do("check_store")
    breaker.do("failure", failed)
    breaker.do("success", answered)
    assert failing.read("b").failure_count == 1


def test_one_probe_at_a_time_is_admitted_and_closes_the_circuit_in_an_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, BreakerPolicy(failure_threshold=1, recovery_timeout=0.0))
    outage(failing, GONE)
    fails(breaker, 1)
    permit = breaker.admit("b")
    assert permit.is_probe
    assert breaker.do("renew", permit)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("b", lambda: None)
    breaker.do("success", permit)
    assert breaker.call("b", lambda: "answer") == "answer"
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").state is State.CLOSED


def test_the_next_outage_starts_from_the_states_read_before_it(make: Make, failing: Failing) -> None:
    breaker = make(failing, POLICY)
    outage(failing, GONE)
    fails(breaker, 3)
    outage(failing, None)
    assert breaker.do("check_store")
    failing.reset("b")
    assert breaker.call("b", lambda: "answer") == "answer"
    outage(failing, GONE)
    assert breaker.call("b", lambda: "answer") == "answer"


PROBING = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0, probe_lease=60.0)


def probed(store: Failing) -> None:
    store.record_failure("b", PROBING)


@pytest.mark.parametrize("policy", ["local", "allow"])
@pytest.mark.parametrize(
    ("report", "state"), [("success", State.CLOSED), ("failure", State.OPEN), ("release", State.HALF_OPEN)]
)
def test_the_verdict_of_a_probe_reaches_the_store_after_the_outage(
    make: Make, failing: Failing, policy: str, report: str, state: State
) -> None:
    breaker = make(failing, PROBING, on_store_outage=policy)
    probed(failing)
    permit = breaker.admit("b")
    outage(failing, UNKNOWN)
    breaker.do(report, permit)
    outage(failing, None)
    assert breaker.do("check_store")
    assert failing.read("b").state is state
    assert failing.read("b").probe_token == ""


def test_a_probe_s_verdict_that_the_store_applied_is_not_applied_twice(make: Make, failing: Failing) -> None:
    breaker = make(failing, PROBING)
    probed(failing)
    permit = breaker.admit("b")
    failing.after_write = UNKNOWN
    breaker.do("failure", permit)
    failing.after_write = None
    heard = failing.read("b")
    assert heard.state is State.OPEN
    assert breaker.do("check_store")
    assert failing.read("b") == heard


def test_a_probe_claimed_without_an_answer_is_released_after_the_outage(make: Make, failing: Failing) -> None:
    breaker = make(failing, PROBING, on_store_outage="allow")
    probed(failing)
    failing.after_write = UNKNOWN
    breaker.call("b", lambda: None)
    failing.after_write = None
    assert failing.read("b").probe_token != ""
    assert breaker.do("check_store")
    assert failing.read("b").probe_token == ""


def test_a_probe_of_another_process_is_not_released(make: Make, failing: Failing) -> None:
    breaker = make(failing, PROBING, on_store_outage="allow")
    probed(failing)
    failing.on_write = UNKNOWN
    breaker.call("b", lambda: None)
    failing.on_write = None
    theirs = failing.claim_probe("b", PROBING)
    assert theirs is not None
    assert breaker.do("check_store")
    assert failing.read("b") == theirs.snapshot
