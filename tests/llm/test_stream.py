"""Tests of calls whose answers are streams, for awaited and blocking calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import pytest

from cbstore_sql import CircuitBreakerOpenError, InMemoryStore, LLMCircuitBreaker, LLMCircuitBreakerConfig
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Transition
from tests.llm.tools import LEASE, NAME, RESET, ApiError, Bench, busy, run

Scene = Callable[[Bench, list[Any]], list[Any]]
"""Reads a stream of the given chunks; a chunk that is an exception is raised."""


def chunks_of(given: list[Any]) -> Iterator[Any]:
    for chunk in given:
        if isinstance(chunk, BaseException):
            raise chunk
        yield chunk


async def chunks_of_async(given: list[Any]) -> AsyncIterator[Any]:
    for chunk in chunks_of(given):
        yield chunk


def read_all(bench: Bench, given: list[Any]) -> list[Any]:
    with bench.breaker.stream_sync(lambda: chunks_of(given)) as chunks:
        return list(chunks)


def read_all_async(bench: Bench, given: list[Any]) -> list[Any]:
    async def read() -> list[Any]:
        async with bench.breaker.stream(lambda: chunks_of_async(given)) as chunks:
            return [chunk async for chunk in chunks]

    return run(read())


def decorated(bench: Bench, given: list[Any]) -> list[Any]:
    return list(bench.breaker.guard_stream(chunks_of)(given))


def decorated_async(bench: Bench, given: list[Any]) -> list[Any]:
    async def read() -> list[Any]:
        return [chunk async for chunk in bench.breaker.guard_stream(chunks_of_async)(given)]

    return run(read())


@pytest.fixture(params=[read_all, read_all_async, decorated, decorated_async])
def read(request: pytest.FixtureRequest) -> Scene:
    scene: Scene = request.param
    return scene


def test_a_stream_read_to_its_end_is_a_success(bench: Bench, read: Scene) -> None:
    bench.breaker.record_failure()
    assert read(bench, ["a", "b"]) == ["a", "b"]
    assert (bench.breaker.failure_count, bench.metrics.requests) == (0, ["success"])


@pytest.mark.parametrize("error", [ApiError(529), ConnectionResetError(), TimeoutError()])
def test_a_stream_that_breaks_off_counts_as_a_failure(bench: Bench, read: Scene, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        read(bench, ["a", error])
    assert (raised.value, bench.breaker.failure_count) == (error, 1)


def test_an_error_of_the_caller_during_a_stream_does_not_count(bench: Bench, read: Scene) -> None:
    bench.breaker.record_failure()
    with pytest.raises(ValueError, match="no JSON"):
        read(bench, ["a", ValueError("no JSON")])
    assert bench.breaker.failure_count == 1


def test_an_error_in_a_chunk_counts_although_the_stream_continues(bench: Bench, read: Scene) -> None:
    broken = {"error": {"code": 502, "message": "upstream"}, "choices": []}
    assert read(bench, [{"choices": []}, broken]) == [{"choices": []}, broken]
    assert bench.breaker.failure_count == 1


def test_a_long_retry_after_during_a_stream_opens_the_circuit(bench: Bench, read: Scene) -> None:
    with pytest.raises(ApiError):
        read(bench, ["a", busy(600)])
    assert bench.store.read(NAME).retry_after == 600.0


def test_an_open_circuit_rejects_a_stream(bench: Bench, read: Scene) -> None:
    bench.open()
    with pytest.raises(CircuitBreakerOpenError):
        read(bench, ["a"])
    assert bench.metrics.requests == ["rejected_open"]


def test_a_probe_whose_stream_is_read_to_its_end_closes_the_circuit(bench: Bench, read: Scene) -> None:
    bench.due()
    assert read(bench, ["a"]) == ["a"]
    assert bench.state == "closed"


def test_a_probe_that_breaks_off_opens_the_circuit_again(bench: Bench, read: Scene) -> None:
    bench.due()
    with pytest.raises(ApiError):
        read(bench, ["a", ApiError(500)])
    assert bench.store.read(NAME).retry_after == RESET


def test_a_disabled_breaker_records_nothing(read: Scene) -> None:
    bench = Bench(enabled=False)
    with pytest.raises(ApiError):
        read(bench, ["a", busy(600)])
    assert (bench.state, bench.metrics.requests, bench.events) == ("closed", [], [])


class Leaving(Exception):
    """An error that the reader of a stream raises."""


def leave(bench: Bench) -> None:
    for chunk in bench.breaker.guard_stream(chunks_of)(["a", "b"]):
        assert chunk == "a"
        break


def leave_async(bench: Bench) -> None:
    async def read() -> None:
        async with aclosing(bench.breaker.guard_stream(chunks_of_async)(["a", "b"])) as chunks:
            async for chunk in chunks:
                assert chunk == "a"
                break

    run(read())


def fail_by_itself(bench: Bench) -> None:
    def read() -> None:
        with bench.breaker.stream_sync(lambda: chunks_of(["a", "b"])) as chunks:
            for _ in chunks:
                raise Leaving

    with pytest.raises(Leaving):
        read()


def fail_by_itself_async(bench: Bench) -> None:
    async def read() -> None:
        async with bench.breaker.stream(lambda: chunks_of_async(["a", "b"])) as chunks:
            async for _ in chunks:
                raise Leaving

    with pytest.raises(Leaving):
        run(read())


@pytest.mark.parametrize("leaves", [leave, leave_async, fail_by_itself, fail_by_itself_async])
def test_a_reader_that_stops_early_does_not_count(bench: Bench, leaves: Callable[[Bench], None]) -> None:
    bench.breaker.record_failure()
    leaves(bench)
    assert bench.breaker.failure_count == 1


@pytest.mark.parametrize("leaves", [leave, leave_async, fail_by_itself, fail_by_itself_async])
def test_a_reader_that_stops_early_releases_the_probe(leaves: Callable[[Bench], None]) -> None:
    bench = Bench(reopen_on_no_verdict=False)
    bench.due()
    leaves(bench)
    assert not bench.store.read(NAME).probe_active


def test_a_cancelled_reader_releases_the_probe(bench: Bench) -> None:
    async def stalled() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    async def read(first: asyncio.Event) -> None:
        async with bench.breaker.stream(stalled) as chunks:
            async for _ in chunks:
                first.set()

    async def scene() -> None:
        first = asyncio.Event()
        task = asyncio.create_task(read(first))
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    bench.due()
    run(scene())
    assert (bench.state, bench.store.read(NAME).probe_active) == ("open", False)


def test_the_opening_of_a_stream_is_retried_like_a_call(bench: Bench) -> None:
    answers: list[Any] = [ApiError(503), busy(7), ["a"]]

    def opening() -> Iterator[Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return chunks_of(answer)

    with bench.breaker.stream_sync(opening, max_retries=3) as chunks:
        assert list(chunks) == ["a"]
    assert (len(bench.naps), bench.metrics.requests) == (2, ["failure", "failure", "success"])


async def open_async(answers: list[Any]) -> AsyncIterator[Any]:
    answer = answers.pop(0)
    if isinstance(answer, Exception):
        raise answer
    return chunks_of_async(answer)


def test_the_opening_of_an_awaited_stream_is_retried(bench: Bench) -> None:
    answers = [ApiError(503), ["a"]]

    async def read() -> list[Any]:
        async with bench.breaker.stream(lambda: open_async(answers), max_retries=2) as chunks:
            return [chunk async for chunk in chunks]

    assert run(read()) == ["a"]
    assert len(bench.naps) == 1


def test_a_failed_opening_is_raised_when_no_attempt_is_left(bench: Bench) -> None:
    def opening() -> Iterator[Any]:
        raise ApiError(503)

    with pytest.raises(ApiError), bench.breaker.stream_sync(opening):
        pass
    assert bench.breaker.failure_count == 1


class Closing:
    """A stream that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[str]:
        return iter(["a", "b"])

    def __aiter__(self) -> AsyncIterator[str]:
        return chunks_of_async(["a", "b"])

    def close(self) -> None:
        self.closed += 1


def test_a_stream_is_closed_when_its_reader_stops(bench: Bench) -> None:
    source = Closing()
    with bench.breaker.stream_sync(lambda: source):
        pass

    async def read() -> None:
        async with bench.breaker.stream(lambda: source):
            pass

    run(read())
    assert source.closed == 2


def test_context_managers_of_streams_are_entered(bench: Bench) -> None:
    left: list[str] = []

    @contextmanager
    def opening() -> Iterator[Iterator[Any]]:
        yield chunks_of(["a"])
        left.append("sync")

    @asynccontextmanager
    async def opening_async() -> AsyncIterator[AsyncIterator[Any]]:
        yield chunks_of_async(["a"])
        left.append("async")

    async def read() -> list[Any]:
        async with bench.breaker.stream(opening_async) as chunks:
            return [chunk async for chunk in chunks]

    with bench.breaker.stream_sync(opening) as chunks:
        assert list(chunks) == ["a"]
    assert run(read()) == ["a"]
    assert left == ["sync", "async"]


def leased(bench: Bench) -> LLMCircuitBreaker:
    config = LLMCircuitBreakerConfig(enabled=True, reset_time_seconds=RESET, probe_lease_seconds=0.05)
    return LLMCircuitBreaker(config, NAME, store=bench.store)


class CountsRenewals(InMemoryStore):
    """A store that counts the renewals of leases and sets an event."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock=clock)
        self.renewals = 0

    def _apply(self, command: Command) -> Transition | None:
        self.renewals += command.operation == "renew_probe"
        return super()._apply(command)


def renewing(bench: Bench) -> tuple[CountsRenewals, LLMCircuitBreaker]:
    bench.store = CountsRenewals(bench.clock)
    bench.due()
    return bench.store, leased(bench)


def test_the_lease_is_renewed_while_the_reader_waits_for_the_api() -> None:
    store, breaker = renewing(Bench())

    async def slow() -> AsyncIterator[str]:
        for _ in range(2_000):
            if store.renewals >= 3:
                break
            await asyncio.sleep(0.005)
        yield "a"

    async def read() -> list[str]:
        async with breaker.stream(slow) as chunks:
            return [chunk async for chunk in chunks]

    assert run(read()) == ["a"]
    assert store.renewals >= 3
    assert breaker.state.value == "closed"


def test_the_lease_of_a_reader_that_stops_reading_is_not_renewed_for_ever() -> None:
    store, breaker = renewing(Bench())

    async def read() -> int:
        async with breaker.stream(lambda: chunks_of_async(["a", "b"])) as chunks:
            await chunks.__anext__()
            seen = -1
            while seen != store.renewals:
                seen = store.renewals
                await asyncio.sleep(0.2)  # four leases
            return seen

    assert run(read()) < 20


def test_a_lease_is_long_by_default() -> None:
    assert Bench().breaker.config.probe_lease_seconds == LEASE
