"""Tests of a call that is the probe: the call keeps, renews and always ends the probe."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextvars import Context
from typing import TypeVar

import pytest

from cbstore_sql import (
    AsyncInMemoryStore,
    CircuitBreakerOpenError,
    LLMCircuitBreaker,
    LLMCircuitBreakerConfig,
    SqlStore,
)
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from tests.llm.tools import LEASE, NAME, RESET, Api, ApiError, Bench, busy, run

T = TypeVar("T")


def test_a_successful_probe_closes_the_circuit(bench: Bench) -> None:
    bench.due()
    assert bench.call(Api("answer")) == "answer"
    assert bench.state == "closed"
    assert bench.metrics.transitions == [("open", "half_open"), ("half_open", "closed")]


@pytest.mark.parametrize("status", [429, 500])
def test_a_failed_probe_opens_the_circuit_again(bench: Bench, status: int) -> None:
    bench.due()
    with pytest.raises(ApiError if status == 500 else CircuitBreakerOpenError):
        bench.call(Api(ApiError(status)))
    assert RESET - 2 < bench.store.read(NAME).retry_after <= RESET
    assert bench.metrics.transitions == [("open", "half_open"), ("half_open", "open")]


ENDS = pytest.mark.parametrize(
    "end",
    [ApiError(400), asyncio.CancelledError(), KeyboardInterrupt(), ValueError()],
    ids=["the caller's mistake", "cancelled", "interrupted", "the caller's own"],
)


@ENDS
def test_a_probe_without_a_verdict_opens_the_circuit_again(bench: Bench, end: BaseException) -> None:
    bench.due()
    with pytest.raises(type(end)):
        bench.call(Api(end))
    assert (bench.state, bench.store.read(NAME).retry_after) == ("open", RESET)


@ENDS
def test_a_probe_without_a_verdict_is_released_with_reopen_on_no_verdict_false(end: BaseException) -> None:
    bench = Bench(reopen_on_no_verdict=False)
    bench.due()
    with pytest.raises(type(end)):
        bench.call(Api(end))
    assert (bench.state, bench.breaker.should_block()) == ("half_open", False)


def test_a_probe_with_a_long_retry_after_opens_the_circuit_for_that_time(bench: Bench) -> None:
    bench.due()
    with pytest.raises(ApiError):
        bench.call(Api(busy(600)))
    assert bench.store.read(NAME).retry_after == 600
    assert bench.metrics.transitions == [("open", "half_open"), ("half_open", "open")]
    assert "ProbeExpired" not in bench.told()


def test_a_probe_is_kept_while_its_owner_waits_for_a_retry_after(bench: Bench) -> None:
    refusals: list[bool] = []
    bench.on_nap = lambda: refusals.append(Context().run(bench.another().should_block))
    bench.due()
    assert bench.call(Api(busy(7), busy(7), "answer")) == "answer"
    assert (refusals, bench.state, bench.told().count("ProbeClaimed")) == ([True, True], "closed", 1)


def test_a_probe_whose_last_attempt_gets_a_retry_after_opens_the_circuit_again(bench: Bench) -> None:
    bench.due()
    with pytest.raises(ApiError):
        bench.call(Api(busy(7), busy(7)), max_retries=2)
    assert bench.paused(7)
    assert bench.state == "open"


def test_the_lease_is_renewed_after_a_wait(bench: Bench) -> None:
    async def left() -> float:
        return bench.store.read(NAME).retry_after

    bench.due()
    bench.on_nap = lambda: bench.clock.advance(LEASE - 1)
    assert bench.call(Api(busy(7), left)) == LEASE


def test_the_owner_of_a_probe_lost_during_a_wait_makes_no_further_call(bench: Bench) -> None:
    api = Api(busy(7))
    bench.on_nap = bench.open
    bench.due()
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(api)
    assert api.calls == 1


def test_the_owner_of_a_probe_lost_to_a_closed_circuit_makes_an_ordinary_call(bench: Bench) -> None:
    api = Api(busy(7), "answer")
    bench.on_nap = bench.breaker.reset
    bench.due()
    assert bench.call(api) == "answer"
    assert (api.calls, bench.state) == (2, "closed")


def test_a_late_probe_changes_nothing(bench: Bench) -> None:
    async def slow() -> str:
        bench.clock.advance(LEASE)
        assert bench.store.claim_probe(NAME) is not None
        return "late"

    bench.due()
    assert bench.call(Api(slow)) == "late"
    assert bench.state == "half_open"
    assert "ProbeExpired" in bench.told()


class Renewed(AsyncInMemoryStore):
    """A store that sets an event when a probe has been renewed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.renewals = 0
        self.twice = asyncio.Event()

    async def _apply(self, command: Command) -> Transition | None:
        self.renewals += command.operation == "renew_probe"
        if self.renewals == 2:
            self.twice.set()
        return await super()._apply(command)


def test_a_probe_is_renewed_for_as_long_as_the_call_takes() -> None:
    async def probe() -> str:
        store = Renewed()
        breaker = LLMCircuitBreaker(LLMCircuitBreakerConfig(enabled=True, probe_lease_seconds=0.05), NAME, store=store)
        await store.force_open(NAME, 0)
        assert await breaker.call_with_retry(store.twice.wait)
        return (await store.read(NAME)).state.value

    assert run(probe()) == "closed"


async def nothing_runs() -> None:
    """Wait until the background work has ended."""
    for _ in range(10_000):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("something goes on for ever")


class Watched(SqlStore):
    """A store that calls a function at the beginning or the end of the operation with a given number."""

    def watch(self, number: int, *, done: bool, do: Callable[[], object]) -> None:
        self._left = number
        self._done = done
        self._do = do

    def _read(self, name: str, now: float | None) -> Snapshot:
        return self._watched(lambda: super(Watched, self)._read(name, now))

    def _apply(self, command: Command) -> Transition | None:
        return self._watched(lambda: super(Watched, self)._apply(command))

    def _watched(self, operation: Callable[[], T]) -> T:
        self._left -= 1
        if self._left == 0 and not self._done:
            self._do()
        answer = operation()
        if self._left == 0 and self._done:
            self._do()
        return answer


@pytest.mark.parametrize("reopen", [True, False], ids=["reopens", "frees"])
@pytest.mark.parametrize("done", [False, True], ids=["begins", "is done"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5], ids=["read", "claim", "renew", "renew again", "success"])
def test_a_cancelled_call_keeps_no_probe(migrated_sqlite_url: str, number: int, done: bool, reopen: bool) -> None:
    async def cancelled(store: Watched) -> None:
        config = LLMCircuitBreakerConfig(enabled=True, reopen_on_no_verdict=reopen)
        breaker = LLMCircuitBreaker(config, NAME, store=store)
        loop = asyncio.get_running_loop()
        call = asyncio.create_task(breaker.call_with_retry(Api(busy(1), busy(1), "answer")))
        store.watch(number, done=done, do=lambda: loop.call_soon_threadsafe(call.cancel))
        await asyncio.gather(call, return_exceptions=True)
        await nothing_runs()

    with Watched(migrated_sqlite_url, namespace=uuid.uuid4().hex) as store:
        store.watch(0, done=False, do=lambda: None)
        store.force_open(NAME, 0)
        run(cancelled(store))
        assert store._left <= 0
        assert not store.read(NAME).probe_active
