"""Tests of the steps of a guarded call: their store calls, and what they do with the answers."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.core.model import Permit, Row, Snapshot, State, Transition, Verdict
from cbstore_sql.core.policy import DEFAULT_POLICY
from cbstore_sql.errors import CircuitBreakerOpenError, StoreUnavailableError
from cbstore_sql.events import BreakerEvent, Opened, ProbeClaimed, ProbeExpired, ProbeLost, Rejected
from cbstore_sql.stores.call import StoreCall, StoreCalls

CLEAN = Snapshot.of("b", Row(generation=4), 1000.0)
OPEN = Snapshot.of("b", Row("open", generation=5, open_until=1010.0), 1000.0)
DUE = OPEN._replace(open_until=1000.0)
PROBING = Snapshot.of("b", Row("half_open", generation=6, probe_token="me", probe_until=1030.0), 1000.0)
LAPSED = PROBING._replace(probe_until=1000.0)

CALL = CLEAN.permit
PROBE = PROBING.permit
CLAIMED = Transition(State.OPEN, PROBING)
TAKEN_OVER = Transition(State.HALF_OPEN, PROBING)


class Driven:
    """Drives a `CallFlow` and records everything that it reports."""

    def __init__(self, **options: Any) -> None:
        self.asks: list[StoreCall] = []
        self.events: list[BreakerEvent] = []
        self.noted: list[Snapshot] = []
        self.forgotten: list[str] = []
        self.announced: list[Transition] = []
        self.claimed: list[tuple[str, str]] = []
        self.circuits = CallFlow(
            lambda _: DEFAULT_POLICY,
            self.events.append,
            note=lambda snapshot, _: self.noted.append(snapshot),
            forget=self.forgotten.append,
            announce=self.announced.append,
            claimed=lambda name, token: self.claimed.append((name, token)),
            **options,
        )

    def run(self, steps: StoreCalls[Any], *answers: Any) -> Any:
        try:
            self.asks.append(next(steps))
            for answer in answers:
                self.asks.append(steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer))
        except StopIteration as done:
            return done.value
        raise AssertionError(f"asked once too often: {self.asks[-1]}")

    def asked(self) -> list[str]:
        return [ask.operation for ask in self.asks]


def test_a_closed_circuit_admits_without_a_claim() -> None:
    driven = Driven()
    assert driven.run(driven.circuits.admit("b"), CLEAN) == CALL
    assert (driven.asked(), driven.noted, driven.events) == (["read"], [CLEAN], [])


@pytest.mark.parametrize(("snapshot", "retry_after"), [(OPEN, 10.0), (PROBING, 30.0)])
def test_a_call_is_refused_without_a_claim_if_no_probe_is_due(snapshot: Snapshot, retry_after: float) -> None:
    driven = Driven()
    with pytest.raises(CircuitBreakerOpenError) as refused:
        driven.run(driven.circuits.admit("b"), snapshot)
    assert (refused.value.state, refused.value.retry_after) == (snapshot.state.value, retry_after)
    assert driven.events == [Rejected("b", snapshot.state, retry_after)]


@pytest.mark.parametrize(
    ("snapshot", "claim", "took_over", "changes"),
    [(DUE, CLAIMED, False, [CLAIMED]), (LAPSED, TAKEN_OVER, True, [])],
)
def test_a_claim_updates_the_view_is_announced_and_emits_an_event(
    snapshot: Snapshot, claim: Transition, took_over: bool, changes: list[Transition]
) -> None:
    driven = Driven()
    assert driven.run(driven.circuits.admit("b"), snapshot, claim) == PROBE
    assert driven.noted == [snapshot, PROBING]
    assert driven.announced == changes
    assert driven.events[-1] == ProbeClaimed("b", PROBE, took_over=took_over)


def test_a_caller_that_loses_a_claim_reads_again() -> None:
    driven = Driven()
    assert driven.run(driven.circuits.admit("b"), DUE, None, CLEAN) == CALL
    assert driven.asked() == ["read", "claim_probe", "read"]
    assert driven.events == [ProbeLost("b")]


def test_a_caller_that_loses_three_claims_is_refused() -> None:
    driven = Driven()
    with pytest.raises(CircuitBreakerOpenError):
        driven.run(driven.circuits.admit("b"), *[DUE, None] * 3)
    assert driven.asked() == ["read", "claim_probe"] * 3


@pytest.mark.parametrize("applied", [None, False])
def test_the_token_of_a_claim_that_may_have_succeeded_is_remembered(applied: bool | None) -> None:
    driven = Driven()
    with pytest.raises(StoreUnavailableError):
        driven.run(driven.circuits.admit("b"), DUE, StoreUnavailableError("gone", applied=applied))
    token = driven.asks[-1].keywords["token"]
    assert driven.claimed == ([] if applied is False else [("b", token)])


@pytest.mark.parametrize(
    ("snapshot", "asked"),
    [
        (PROBING, ["read", "release_probe"]),
        (PROBING._replace(probe_token="somebody else's"), ["read"]),
        (CLEAN._replace(probe_token="me"), ["read"]),
    ],
)
def test_a_claim_is_released_only_if_it_succeeded(snapshot: Snapshot, asked: list[str]) -> None:
    driven = Driven()
    released = Transition(State.HALF_OPEN, PROBING._replace(probe_token="", generation=7))
    driven.run(driven.circuits.release_claim("b", "me"), snapshot, *[released] * (len(asked) - 1))
    assert driven.asked() == asked
    assert all(ask.arguments == (PROBE,) for ask in driven.asks[1:])


@pytest.mark.parametrize("reopen", [False, True])
@pytest.mark.parametrize(
    ("permit", "verdict", "asked"),
    [
        (CALL, Verdict.SUCCESS, ["record_success"]),
        (CALL, Verdict.FAILURE, ["record_failure"]),
        (CALL, Verdict.NONE, []),
        (PROBE, Verdict.SUCCESS, ["record_success"]),
        (PROBE, Verdict.FAILURE, ["record_failure"]),
        (PROBE, Verdict.NONE, ["release_probe"]),
    ],
)
def test_a_verdict_selects_the_operation_of_the_store(
    permit: Permit, verdict: Verdict, asked: list[str], reopen: bool
) -> None:
    driven = Driven(reopen_on_no_verdict=reopen)
    driven.run(driven.circuits.settle(permit, verdict), CLAIMED)
    assert driven.asked() == (["record_failure"] if reopen and asked == ["release_probe"] else asked)


def test_a_report_of_several_failures_contains_their_number() -> None:
    driven = Driven()
    driven.run(driven.circuits.record_failure(CALL, 3), CLAIMED)
    assert driven.asks == [StoreCall("record_failure", (CALL, DEFAULT_POLICY), {"failures": 3})]


@pytest.mark.parametrize(
    ("transition", "event"), [(Transition(State.CLOSED, OPEN), Opened), (Transition(State.CLOSED, CLEAN), None)]
)
def test_a_change_of_state_updates_the_view_is_announced_and_emits_an_event(
    transition: Transition, event: type[BreakerEvent] | None
) -> None:
    driven = Driven()
    driven.run(driven.circuits.settle(CALL, Verdict.FAILURE), transition)
    assert driven.noted == [transition.snapshot]
    assert driven.announced == ([transition] if event else [])
    assert [type(told) for told in driven.events] == ([event] if event else [])


@pytest.mark.parametrize(("permit", "events"), [(CALL, []), (PROBE, [ProbeExpired("b", PROBE)])])
def test_a_report_without_effect_removes_the_breaker_from_the_view(permit: Permit, events: list[BreakerEvent]) -> None:
    driven = Driven()
    driven.run(driven.circuits.settle(permit, Verdict.FAILURE), None)
    assert (driven.forgotten, driven.noted, driven.announced, driven.events) == (["b"], [], [], events)


def test_a_probe_whose_renewal_has_no_effect_has_expired() -> None:
    driven = Driven()
    assert driven.run(driven.circuits.renew(PROBE), Transition(State.HALF_OPEN, PROBING)) is True
    assert not driven.events
    assert driven.run(driven.circuits.renew(PROBE), None) is False
    assert driven.events == [ProbeExpired("b", PROBE)]
