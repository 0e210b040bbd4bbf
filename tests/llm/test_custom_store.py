"""Tests of the LLM breaker over a custom store with only the eight methods of the dictionary protocol."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from cbstore_sql import CircuitBreakerOpenError, InMemoryStore, StoreConflictError
from cbstore_sql.llm import dict_store as dictionaries
from tests.llm.dictionary import Dictionary
from tests.llm.tools import LEASE, NAME, RESET, Api, ApiError, Bench, Caller, Clock, busy
from tests.system.compat.published import Published


def ours(clock: Clock, request: pytest.FixtureRequest) -> object:
    return Dictionary(InMemoryStore(clock=clock))


def published(clock: Clock, request: pytest.FixtureRequest) -> object:
    """The in-memory store of the published massgen 0.1.78."""
    code: Published = request.getfixturevalue("published")
    request.getfixturevalue("monkeypatch").setattr(code.store, "time", SimpleNamespace(time=clock))
    return code.store.InMemoryStore()


@pytest.fixture(params=[ours, published], ids=["ours", "published"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock = Clock()
    monkeypatch.setattr(dictionaries, "time", SimpleNamespace(time=clock))
    bench = Bench(request.param(clock, request))
    bench.clock = clock
    return bench


def due(bench: Bench) -> None:
    bench.breaker.force_open()
    bench.clock.advance(RESET)
    bench.metrics.transitions.clear()


def fail(bench: Bench, times: int) -> None:
    for _ in range(times):
        assert bench.breaker.should_block() is False
        bench.breaker.record_failure()


def test_failures_open_the_circuit_and_a_successful_probe_closes_it(bench: Bench) -> None:
    fail(bench, 3)
    assert (bench.breaker.should_block(), bench.breaker.failure_count) == (True, 3)
    bench.clock.advance(RESET)
    assert (bench.breaker.should_block(), bench.another().should_block()) == (False, True)
    bench.breaker.record_success()
    assert (bench.state, bench.breaker.failure_count) == ("closed", 0)
    assert bench.metrics.transitions == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


@pytest.mark.parametrize("good", [True, False], ids=["success", "failure"])
def test_only_the_reports_of_the_probe_s_owner_count(bench: Bench, good: bool) -> None:
    def report() -> None:
        if good:
            bench.breaker.record_success()
        else:
            bench.breaker.record_failure()

    with Caller() as slow, Caller() as stranger:
        assert slow.does(bench.breaker.should_block) is False
        due(bench)
        assert bench.breaker.should_block() is False
        slow.does(report)
        stranger.does(report)
        assert bench.state == "half_open"
        report()
    assert bench.state == ("closed" if good else "open")


def test_a_failure_reported_to_an_open_circuit_does_not_prolong_the_open_time(bench: Bench) -> None:
    with Caller() as slow:
        slow.does(bench.breaker.should_block)
        bench.breaker.force_open()
        bench.clock.advance(RESET - 1)
        slow.does(bench.breaker.record_failure)
    bench.clock.advance(1)
    assert bench.breaker.should_block() is False


def test_calls_are_refused_while_the_circuit_is_open_or_probed(bench: Bench) -> None:
    bench.breaker.force_open("quota", 600)
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.call(Api())
    assert (refused.value.state, refused.value.retry_after) == ("open", 600)
    bench.clock.advance(600)
    assert bench.breaker.should_block() is False
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.call(Api())
    assert (refused.value.state, refused.value.retry_after) == ("half_open", LEASE)
    assert "ProbeLost" not in bench.told()


def test_a_successful_call_as_the_probe_closes_the_circuit(bench: Bench) -> None:
    due(bench)
    assert bench.call(Api(busy(7), "answer")) == "answer"
    assert (bench.state, bench.told().count("ProbeClaimed")) == ("closed", 1)


@pytest.mark.parametrize(("reopen", "state"), [(True, "open"), (False, "half_open")])
def test_a_probe_without_a_verdict_opens_the_circuit_or_is_released(bench: Bench, reopen: bool, state: str) -> None:
    bench.breaker = bench.another(reopen_on_no_verdict=reopen)
    due(bench)
    with pytest.raises(ApiError):
        bench.call(Api(ApiError(400)))
    assert (bench.state, bench.breaker.should_block()) == (state, reopen)
    assert bench.metrics.transitions[:1] == [("open", "half_open")]
    assert bench.metrics.transitions.count(("open", "half_open")) == 1
    assert "ProbeExpired" not in bench.told()


def test_a_report_after_a_reset_has_no_effect_and_emits_probe_expired(bench: Bench) -> None:
    due(bench)
    assert bench.breaker.should_block() is False
    bench.another().reset()
    bench.breaker.record_success()
    assert (bench.state, bench.told()[-1]) == ("closed", "ProbeExpired")


def test_the_owner_of_a_probe_lost_during_a_wait_makes_no_further_call(bench: Bench) -> None:
    api = Api(busy(7))
    due(bench)
    bench.on_nap = bench.breaker.force_open
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(api)
    assert api.calls == 1


def test_force_open_never_shortens_the_open_time(bench: Bench) -> None:
    bench.breaker.force_open("quota", 600)
    until = bench.store.get_state(NAME)["open_until"]
    bench.breaker.force_open("quota", 120)
    assert bench.store.get_state(NAME)["open_until"] == until == bench.clock.now + 600
    assert bench.metrics.transitions == [("closed", "open")]


def test_reset_closes_the_circuit_and_clears_the_count(bench: Bench) -> None:
    fail(bench, 3)
    bench.breaker.reset()
    assert (bench.state, bench.breaker.failure_count) == ("closed", 0)
    assert bench.metrics.transitions[-1] == ("open", "closed")


def test_force_open_raises_a_conflict_error_if_every_attempt_loses_the_race(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Dictionary(InMemoryStore())
    bench = Bench(store)
    monkeypatch.setattr(store, "cas_state", lambda *change: False)
    with pytest.raises(StoreConflictError):
        bench.breaker.force_open()
    assert store.calls.count("get_state") == 5


def test_the_store_is_never_called_on_the_event_loop_s_thread(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_on: set[int] = set()
    get_state: Any = bench.store.get_state

    def noted(name: str) -> Any:
        asked_on.add(threading.get_ident())
        return get_state(name)

    monkeypatch.setattr(bench.store, "get_state", noted)
    bench.call(Api(ApiError(500), "answer"))
    assert asked_on
    assert threading.get_ident() not in asked_on
