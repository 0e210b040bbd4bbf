"""Tests of LLM breakers that share one store, on every backend."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from contextvars import Context

import pytest

from cbstore_sql import CircuitBreakerOpenError, Store
from tests.llm.tools import NAME, Api, ApiError, Bench, Caller, busy, run
from tests.stores.contract.backends import NAMES, SHARED, make_backend


@pytest.fixture(params=SHARED)
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Store]]:
    backend = make_backend(request.param, request)
    namespace = uuid.uuid4().hex
    with backend.open(namespace) as one, backend.open(namespace) as other:
        yield one, other


@pytest.fixture
def fleet(stores: tuple[Store, Store]) -> tuple[Bench, Bench]:
    one, other = stores
    return Bench(one), Bench(other)


def elapsed(bench: Bench) -> None:
    bench.store.force_open(NAME, 0)
    bench.metrics.transitions.clear()


def test_these_tests_cover_every_shared_backend() -> None:
    assert set(NAMES) - set(SHARED) == {"memory"}


def test_failures_of_one_process_open_the_circuit_for_the_other(fleet: tuple[Bench, Bench]) -> None:
    one, other = fleet
    with pytest.raises(ApiError):
        one.call(Api(ApiError(500), ApiError(500)), max_retries=2)
    assert other.breaker.failure_count == 2
    with pytest.raises(ApiError):
        other.call(Api(ApiError(500)))
    with pytest.raises(CircuitBreakerOpenError):
        one.call(Api())
    assert (one.metrics.transitions, other.metrics.transitions) == ([], [("closed", "open")])


def test_only_the_reports_of_the_probe_s_owner_count(fleet: tuple[Bench, Bench]) -> None:
    one, other = fleet
    with Caller() as slow:
        assert slow.does(other.breaker.should_block) is False
        elapsed(one)
        assert (one.breaker.should_block(), other.breaker.should_block()) == (False, True)
        for report in (other.breaker.record_success, other.breaker.record_failure):
            report()
            slow.does(report)
            assert one.state == "half_open"
        one.breaker.record_success()
    assert other.state == "closed"
    assert (one.metrics.transitions, other.metrics.transitions) == (
        [("open", "half_open"), ("half_open", "closed")],
        [],
    )


def test_a_call_keeps_the_probe_while_it_waits_for_a_retry_after(fleet: tuple[Bench, Bench]) -> None:
    one, other = fleet
    refused: list[bool] = []
    one.on_nap = lambda: refused.append(Context().run(other.breaker.should_block))
    elapsed(one)
    assert one.call(Api(busy(7), "answer")) == "answer"
    assert (refused, other.state) == ([True], "closed")


def test_a_blocking_store_is_never_called_on_the_event_loop_s_thread(
    fleet: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = fleet
    asked_on: list[int] = []
    for method in ("_read", "_apply"):
        operation = getattr(one.store, method)

        def noted(*args: object, operation: Callable[..., object] = operation) -> object:
            asked_on.append(threading.get_ident())
            return operation(*args)

        monkeypatch.setattr(one.store, method, noted)
    assert one.call(Api(ApiError(500), "answer")) == "answer"
    assert asked_on
    assert threading.get_ident() not in asked_on


def test_one_of_twenty_simultaneous_calls_is_the_probe(fleet: tuple[Bench, Bench]) -> None:
    refusals = asyncio.Semaphore(0)

    async def answer() -> str:
        for _ in range(19):
            await refusals.acquire()
        return "answer"

    async def call(bench: Bench) -> object:
        try:
            return await bench.breaker.call_with_retry(answer)
        except CircuitBreakerOpenError:
            refusals.release()
            return "refused"

    async def calls() -> list[object]:
        return await asyncio.gather(*[call(bench) for bench in fleet for _ in range(10)])

    elapsed(fleet[0])
    assert sorted(map(str, run(calls()))) == ["answer"] + ["refused"] * 19
    assert [bench.state for bench in fleet] == ["closed", "closed"]


def test_a_long_retry_after_opens_the_circuit_for_every_process(fleet: tuple[Bench, Bench]) -> None:
    one, other = fleet
    with pytest.raises(ApiError):
        one.call(Api(busy(600)))
    with pytest.raises(CircuitBreakerOpenError) as refused:
        other.call(Api())
    assert 590 < refused.value.retry_after <= 600
    other.breaker.reset()
    assert one.call(Api("answer")) == "answer"
