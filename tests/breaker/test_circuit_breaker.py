"""Tests of a guarded call, for both breakers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreakerOpenError, ConfigurationError, InMemoryStore, State
from tests.breaker.conftest import Make
from tests.breaker.drivers import Clock, SyncDriver

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=60.0, probe_lease=30.0)


class Down(Exception):
    """The error of the guarded dependency."""


def fail(error: BaseException | None = None) -> None:
    raise error or Down("the dependency said so")


def trip(breaker: SyncDriver, name: str = "b") -> None:
    for _ in range(POLICY.failure_threshold):
        with pytest.raises(Down):
            breaker.call(name, fail)


def test_a_call_returns_what_the_function_returned(make: Make, store: InMemoryStore) -> None:
    assert make(store, POLICY).call("b", lambda a, *, b: (a, b), 1, b=2) == (1, 2)


def test_failures_open_the_circuit_and_refused_calls_do_not_run(make: Make, store: InMemoryStore, clock: Clock) -> None:
    breaker = make(store, POLICY)
    made: list[int] = []
    trip(breaker)
    clock.advance(10.0)
    with pytest.raises(CircuitBreakerOpenError) as refused:
        breaker.call("b", made.append, 1)
    assert made == []
    assert (refused.value.name, refused.value.state, refused.value.retry_after) == ("b", "open", 50.0)


def test_a_success_in_between_keeps_the_circuit_closed(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY)
    for _ in range(5):
        with pytest.raises(Down):
            breaker.call("b", fail)
        breaker.call("b", lambda: None)
    assert breaker.state("b") is State.CLOSED


def test_a_successful_probe_closes_the_circuit(make: Make, store: InMemoryStore, clock: Clock) -> None:
    breaker = make(store, POLICY)
    trip(breaker)
    clock.advance(60.0)
    assert breaker.call("b", lambda: breaker_state(store)) is State.HALF_OPEN
    assert breaker.state("b") is State.CLOSED
    assert breaker.told() == ["Opened", "HalfOpened", "ProbeClaimed", "Closed"]


def breaker_state(store: InMemoryStore) -> State:
    return store.read("b").state


def test_a_failed_probe_opens_the_circuit_again(make: Make, store: InMemoryStore, clock: Clock) -> None:
    breaker = make(store, POLICY)
    trip(breaker)
    clock.advance(60.0)
    with pytest.raises(Down):
        breaker.call("b", fail)
    assert breaker.snapshot("b").retry_after == 60.0
    assert breaker.told()[-1] == "Opened"


def test_other_callers_are_refused_while_a_probe_runs(make: Make, store: InMemoryStore, clock: Clock) -> None:
    breaker = make(store, POLICY)
    trip(breaker)
    clock.advance(60.0)
    permit = breaker.admit("b")
    assert permit.is_probe
    with pytest.raises(CircuitBreakerOpenError) as refused:
        breaker.admit("b")
    assert (refused.value.state, refused.value.retry_after) == ("half_open", 30.0)
    breaker.do("success", permit)
    assert not breaker.admit("b").is_probe


def test_reports_of_a_call_admitted_before_the_opening_have_no_effect(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY)
    early = breaker.admit("b")
    trip(breaker)
    before = breaker.snapshot("b")
    breaker.do("failure", early)
    breaker.do("success", early)
    assert breaker.snapshot("b") == before


def test_the_report_of_a_probe_whose_lease_expired_changes_nothing_and_emits_an_event(
    make: Make, store: InMemoryStore, clock: Clock
) -> None:
    breaker = make(store, POLICY)
    trip(breaker)
    clock.advance(60.0)
    late = breaker.admit("b")
    clock.advance(30.0)
    owner = breaker.admit("b")
    breaker.do("success", late)
    assert breaker.state("b") is State.HALF_OPEN
    assert breaker.told()[-1] == "ProbeExpired"
    breaker.do("failure", owner)
    assert breaker.state("b") is State.OPEN


def test_a_caller_that_loses_the_claim_to_a_probe_that_closed_the_circuit_is_admitted(make: Make, clock: Clock) -> None:
    class ClosesInBetween(InMemoryStore):
        def claim_probe(self, *args: Any, **kwargs: Any) -> Any:
            winner = super().claim_probe("b", POLICY)
            assert winner is not None
            self.record_success(winner.permit, POLICY)
            return super().claim_probe(*args, **kwargs)

    store = ClosesInBetween(clock=clock)
    store.force_open("b", 0.0)

    class Plain(SyncDriver):
        pass

    breaker = Plain(store, POLICY)
    assert breaker.call("b", lambda: "through") == "through"
    assert "ProbeLost" in breaker.told()


def test_a_guarded_block_receives_its_permit_and_reports_its_outcome(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY)
    with breaker.guard("b") as permit:
        assert permit.name == "b"
    for _ in range(2):
        with pytest.raises(Down), breaker.guard("b"):
            raise Down
    with pytest.raises(CircuitBreakerOpenError), breaker.guard("b"):
        raise AssertionError("entered")


def test_a_decorated_function_is_guarded_and_keeps_its_name(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY)
    guarded = breaker.decorated("b", fail)
    for _ in range(2):
        with pytest.raises(Down):
            guarded()
    with pytest.raises(CircuitBreakerOpenError):
        guarded()
    assert breaker.breaker("b")(breaker.wrap(fail)).__wrapped__ is not None


def test_a_guarded_function_may_have_arguments_with_any_name(make: Make, store: InMemoryStore) -> None:
    own = {"name": 1, "function": 2, "fallback": 3, "self": 4}
    breaker = make(store, POLICY)
    assert breaker.decorated("b", dict)(**own) == own
    assert breaker.run(breaker.breaker.call("b", breaker.wrap(dict), **own)) == own


def test_each_name_is_a_separate_circuit_and_may_have_a_separate_policy(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY, policies={"touchy": BreakerPolicy(failure_threshold=1)})
    for name in ("touchy", "b"):
        with pytest.raises(Down):
            breaker.call(name, fail)
    assert breaker.state("touchy") is State.OPEN
    assert breaker.state("b") is State.CLOSED


@pytest.mark.parametrize(
    ("options", "error", "counts"),
    [
        ({}, Down(), True),
        ({}, KeyboardInterrupt(), False),
        ({}, SystemExit(), False),
        ({"record_on": (Down,)}, ValueError(), False),
        ({"record_on": (Down,)}, Down(), True),
        ({"ignore": (ValueError,)}, ValueError(), False),
        ({"ignore": (ValueError,)}, Down(), True),
        ({"is_failure": lambda error: "soft" not in str(error)}, Down("soft"), False),
        ({"is_failure": lambda error: "soft" not in str(error)}, Down("hard"), True),
        ({"is_failure": lambda error: 1 / 0}, Down("a predicate that fails"), True),
    ],
)
def test_the_options_decide_which_exceptions_count_as_failures(
    make: Make, store: InMemoryStore, options: dict[str, Any], error: BaseException, counts: bool
) -> None:
    breaker = make(store, POLICY, **options)
    with pytest.raises(type(error)), breaker.guard("b"):
        raise error
    assert breaker.snapshot("b").failure_count == int(counts)


def test_a_probe_without_a_verdict_frees_the_slot(make: Make, store: InMemoryStore, clock: Clock) -> None:
    breaker = make(store, POLICY, ignore=(ValueError,))
    trip(breaker)
    clock.advance(60.0)
    with pytest.raises(ValueError, match="not the dependency"), breaker.guard("b"):
        raise ValueError("not the dependency")
    assert breaker.state("b") is State.HALF_OPEN
    assert breaker.admit("b").is_probe


def test_a_probe_without_a_verdict_opens_the_circuit_with_reopen_on_no_verdict(
    make: Make, store: InMemoryStore, clock: Clock
) -> None:
    breaker = make(store, POLICY, reopen_on_no_verdict=True)
    trip(breaker)
    clock.advance(60.0)
    with pytest.raises(KeyboardInterrupt), breaker.guard("b"):
        raise KeyboardInterrupt
    assert breaker.state("b") is State.OPEN


def test_a_failed_result_counts_as_a_failure_and_is_returned(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY, is_failed_result=lambda result: result >= 500)
    assert [breaker.call("b", int, status) for status in (200, 503)] == [200, 503]
    assert breaker.snapshot("b").failure_count == 1


def test_a_predicate_that_raises_does_not_replace_the_result(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY, is_failed_result=lambda result: result.nothing)
    assert breaker.call("b", lambda: "answer") == "answer"


def test_a_fallback_answers_a_refused_call(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY, fallback=lambda refused: f"later, in {refused.retry_after:.0f} s")
    trip(breaker)
    assert breaker.call("b", fail) == "later, in 60 s"
    assert breaker.decorated("b", fail, fallback=lambda refused: refused.name)() == "b"


def test_the_fallback_does_not_answer_a_refusal_by_another_breaker_inside_the_call(
    make: Make, store: InMemoryStore
) -> None:
    breaker = make(store, POLICY, fallback=lambda refused: "fallback")
    with pytest.raises(CircuitBreakerOpenError, match="inner"):
        breaker.call("b", fail, CircuitBreakerOpenError("inner"))


def test_force_open_and_reset_emit_an_event_when_the_state_changes(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY)
    breaker.do("force_open", "b", 5.0)
    breaker.do("force_open", "b", 9.0)
    breaker.do("reset", "b")
    breaker.do("reset", "b")
    assert breaker.told() == ["Opened", "Closed"]


def test_an_exception_of_a_listener_does_not_reach_the_caller(make: Make, store: InMemoryStore) -> None:
    breaker = make(store, POLICY, listeners=[lambda event: 1 / 0])
    trip(breaker)
    assert breaker.told() == ["Opened"]


def test_a_generator_function_is_refused(make: Make, store: InMemoryStore) -> None:
    def stream() -> Any:
        yield 1

    async def astream() -> Any:
        yield 1

    breaker = make(store, POLICY).breaker
    for function in (stream, astream, partial(stream)):
        with pytest.raises(TypeError, match="Admit by hand"):
            breaker("b")(function)


def test_an_unknown_outage_policy_is_refused(make: Make, store: InMemoryStore) -> None:
    with pytest.raises(ConfigurationError):
        make(store, POLICY, on_store_outage="hope")
