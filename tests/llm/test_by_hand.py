"""Tests of should_block and the record methods: which reports of which caller count."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import pytest

from cbstore_sql import LLMCircuitBreaker, LLMCircuitBreakerConfig, Permit, StoreUnavailableError
from cbstore_sql.llm import store_adapters as faces
from cbstore_sql.llm.ambient_permits import Callers
from tests.llm.tools import LEASE, NAME, RESET, Api, Bench, Caller, Clock, run

Report = Callable[[LLMCircuitBreaker], None]

REPORTS = pytest.mark.parametrize(
    "report", [LLMCircuitBreaker.record_success, LLMCircuitBreaker.record_failure], ids=["success", "failure"]
)


def fail(bench: Bench, times: int) -> None:
    for _ in range(times):
        assert bench.breaker.should_block() is False
        bench.breaker.record_failure("http_500", "secret")


def test_failures_open_the_circuit_and_a_successful_probe_closes_it(bench: Bench) -> None:
    fail(bench, 3)
    assert (bench.breaker.should_block(), bench.state) == (True, "open")
    bench.clock.advance(RESET)
    assert bench.breaker.should_block() is False, "the probe"
    assert bench.breaker.should_block() is True, "only one, and asking again does not cost it"
    bench.breaker.record_success()
    assert (bench.state, bench.breaker.failure_count) == ("closed", 0)
    assert bench.metrics.transitions == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_a_failed_probe_opens_the_circuit_again(bench: Bench) -> None:
    bench.due()
    fail(bench, 1)
    assert bench.breaker.should_block() is True
    bench.clock.advance(RESET)
    assert bench.breaker.should_block() is False


def test_a_success_clears_the_count(bench: Bench) -> None:
    fail(bench, 2)
    bench.breaker.record_success()
    fail(bench, 2)
    assert bench.state == "closed"


@REPORTS
def test_reports_of_a_caller_admitted_earlier_are_ignored_during_another_caller_s_probe(
    bench: Bench, report: Report
) -> None:
    with Caller() as slow:
        assert slow.does(bench.breaker.should_block) is False
        bench.due()
        assert bench.breaker.should_block() is False
        slow.does(report, bench.breaker)
        assert bench.state == "half_open"
        bench.breaker.record_success()
        assert bench.state == "closed"


@REPORTS
def test_a_half_open_circuit_ignores_a_caller_without_admission(bench: Bench, report: Report) -> None:
    bench.due()
    with Caller() as owner:
        assert owner.does(bench.breaker.should_block) is False
        report(bench.breaker)
        assert bench.state == "half_open"


@REPORTS
def test_a_half_open_circuit_ignores_a_caller_that_was_refused(bench: Bench, report: Report) -> None:
    with Caller() as owner:
        assert bench.breaker.should_block() is False
        bench.due()
        assert owner.does(bench.breaker.should_block) is False
        assert bench.breaker.should_block() is True
        report(bench.breaker)
        assert bench.state == "half_open"


@REPORTS
def test_a_report_has_no_effect_on_an_open_circuit(bench: Bench, report: Report) -> None:
    with Caller() as slow:
        slow.does(bench.breaker.should_block)
        bench.open()
        before = bench.store.read(NAME)
        slow.does(report, bench.breaker)
        report(bench.breaker)
        assert bench.store.read(NAME) == before


def test_a_closed_circuit_counts_reports_of_a_caller_without_admission(bench: Bench) -> None:
    for _ in range(3):
        bench.breaker.record_failure()
    assert bench.state == "open"
    bench.breaker.reset()
    bench.breaker.record_failure()
    bench.breaker.record_success()
    assert bench.breaker.failure_count == 0


def test_another_caller_can_claim_the_probe_after_the_lease(bench: Bench) -> None:
    bench.due()
    with Caller() as dead:
        assert dead.does(bench.breaker.should_block) is False
        bench.clock.advance(LEASE - 1)
        assert bench.breaker.should_block() is True
        bench.clock.advance(1)
        assert bench.breaker.should_block() is False
        dead.does(bench.breaker.record_failure)
        assert bench.state == "half_open"
    bench.breaker.record_success()
    assert bench.state == "closed"


def test_an_admission_by_one_breaker_object_is_unknown_to_another_object(bench: Bench) -> None:
    bench.due()
    assert bench.breaker.should_block() is False
    bench.another().record_success()
    assert bench.state == "half_open"
    bench.breaker.record_success()
    assert bench.state == "closed"


def test_tasks_of_one_thread_are_separate_callers(bench: Bench) -> None:
    asked = asyncio.Event()

    async def owner() -> bool:
        refused = bench.breaker.should_block()
        asked.set()
        return refused

    async def stranger() -> None:
        await asked.wait()
        bench.breaker.record_success()

    async def both() -> bool:
        refused, _ = await asyncio.gather(owner(), stranger())
        return refused

    bench.due()
    assert run(both()) is False
    assert bench.state == "half_open"


def test_a_task_or_thread_started_by_a_caller_reports_for_that_caller(bench: Bench) -> None:
    async def report() -> None:
        await asyncio.to_thread(bench.breaker.record_success)

    async def ask_then_start() -> None:
        assert bench.breaker.should_block() is False
        await asyncio.create_task(report())

    bench.due()
    run(ask_then_start())
    assert bench.state == "closed"


def test_a_report_by_a_started_task_does_not_remove_the_permit_of_its_caller(bench: Bench) -> None:
    async def report() -> None:
        bench.breaker.record_success()

    async def ask_then_start() -> Permit | None:
        bench.breaker.should_block()
        await asyncio.create_task(report())
        return bench.breaker.permit

    assert run(ask_then_start()) == Permit(NAME, 0)


def test_a_refusal_ends_an_earlier_admission(bench: Bench) -> None:
    assert bench.breaker.should_block() is False
    bench.open()
    assert bench.breaker.should_block() is True
    bench.breaker.reset()
    bench.breaker.record_failure()
    assert bench.breaker.failure_count == 1


@pytest.mark.parametrize("good", [True, False])
def test_a_permit_can_be_passed_to_another_caller(bench: Bench, good: bool) -> None:
    def ask() -> Permit | None:
        assert bench.breaker.should_block() is False
        return bench.breaker.permit

    bench.due()
    with Caller() as asking:
        permit = asking.does(ask)
    if good:
        bench.breaker.record_success(permit=permit)
    else:
        bench.breaker.record_failure("http_500", permit=permit)
    assert bench.state == ("closed" if good else "open")


def test_a_caller_has_a_permit_until_it_reports(bench: Bench) -> None:
    assert bench.breaker.permit is None
    bench.breaker.should_block()
    assert bench.breaker.permit == Permit(NAME, 0)
    bench.breaker.record_success()
    assert bench.breaker.permit is None


def test_a_given_permit_takes_precedence_over_the_caller_s_permit_and_does_not_change_it(bench: Bench) -> None:
    bench.store.record_failure(NAME)
    bench.breaker.should_block()
    bench.breaker.record_success(permit=Permit(NAME, 7))
    assert (bench.breaker.failure_count, bench.breaker.permit) == (1, Permit(NAME, 0))


def test_a_report_that_the_store_did_not_accept_can_be_repeated(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.due()
    assert bench.breaker.should_block() is False
    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "_apply", lambda command: (_ for _ in ()).throw(StoreUnavailableError("gone")))
        with pytest.raises(StoreUnavailableError):
            bench.breaker.record_success()
    bench.breaker.record_success()
    assert bench.state == "closed"


def test_callers_keep_no_reference_to_a_deleted_breaker() -> None:
    callers = Callers()
    callers.remember(Permit(NAME, 1))
    gone = weakref.ref(callers)
    del callers
    gc.collect()
    assert gone() is None


def test_one_of_twelve_threads_gets_the_probe() -> None:
    bench = Bench()
    with ThreadPoolExecutor(12) as pool:
        for _ in range(50):
            bench.due()
            together = Barrier(12)

            def ask(together: Barrier = together) -> bool:
                together.wait()
                return bench.breaker.should_block()

            assert sorted(pool.map(lambda _: ask(), range(12))) == [False] + [True] * 11
            bench.breaker.reset()


def test_all_failures_of_twelve_threads_count_and_one_thread_opens_the_circuit() -> None:
    bench = Bench(max_failures=600)

    def fail_often() -> None:
        for _ in range(50):
            bench.breaker.should_block()
            bench.breaker.record_failure()

    with ThreadPoolExecutor(12) as pool:
        for done in [pool.submit(fail_often) for _ in range(12)]:
            done.result()
    assert (bench.state, bench.breaker.failure_count) == ("open", 600)
    assert bench.metrics.transitions == [("closed", "open")]


def test_only_the_owner_among_twelve_threads_closes_the_circuit() -> None:
    bench = Bench()
    bench.due()
    together = Barrier(12)

    def probe(_: int) -> bool:
        together.wait()
        admitted = not bench.breaker.should_block()
        together.wait()
        bench.breaker.record_success()
        return admitted

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(probe, range(12))) == 1
    assert bench.state == "closed"
    assert bench.metrics.transitions[-2:] == [("open", "half_open"), ("half_open", "closed")]


@pytest.mark.parametrize(("asked", "seconds"), [(0, RESET), (RESET - 1, RESET), (600, 600), (1e300, 1e9)])
def test_force_open_lasts_for_the_given_time_but_at_least_for_the_reset_time(
    bench: Bench, asked: float, seconds: float
) -> None:
    bench.breaker.force_open("quota", open_for_seconds=asked)
    assert bench.store.read(NAME).retry_after == seconds


def test_force_open_never_shortens_the_open_time_and_is_one_transition(bench: Bench) -> None:
    bench.breaker.force_open("quota", open_for_seconds=600)
    bench.breaker.force_open("quota", open_for_seconds=120)
    assert bench.store.read(NAME).retry_after == 600
    assert bench.metrics.transitions == [("closed", "open")]


def test_reset_closes_the_circuit_and_a_second_reset_changes_nothing(bench: Bench) -> None:
    fail(bench, 3)
    bench.breaker.reset()
    bench.breaker.reset()
    assert (bench.state, bench.breaker.failure_count) == ("closed", 0)
    assert bench.metrics.transitions == [("closed", "open"), ("open", "closed")]


def test_a_disabled_breaker_admits_calls_of_an_open_circuit(bench: Bench) -> None:
    bench.open()
    breaker = bench.another(enabled=False)
    assert breaker.should_block() is False
    assert run(breaker.call_with_retry(Api("answer"))) == "answer"


def test_a_disabled_breaker_can_reset_the_circuit(bench: Bench) -> None:
    bench.open()
    bench.another(enabled=False).reset()
    assert bench.state == "closed"


def test_repr_shows_state_and_failures(bench: Bench) -> None:
    fail(bench, 2)
    assert repr(bench.breaker) == "LLMCircuitBreaker(state=closed, failures=2/3, backend='claude')"


def test_without_a_store_a_change_of_the_machine_s_clock_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = Clock(), Clock()
    monkeypatch.setattr(faces, "time", SimpleNamespace(time=wall, monotonic=steady))
    breaker = LLMCircuitBreaker(LLMCircuitBreakerConfig(enabled=True, reset_time_seconds=RESET))
    breaker.force_open()
    wall.advance(86_400)
    assert breaker.should_block() is True
    steady.advance(RESET)
    assert breaker.should_block() is False


def test_without_a_store_breakers_share_no_state() -> None:
    one, other = (LLMCircuitBreaker(LLMCircuitBreakerConfig(enabled=True, max_failures=1)) for _ in range(2))
    one.record_failure()
    assert (one.should_block(), other.should_block()) == (True, False)
