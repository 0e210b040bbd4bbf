"""A guarded call inside a probe is part of the probe. Calls of other callers are not."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncInMemoryStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    InMemoryStore,
    State,
)
from tests.breaker.drivers import Clock
from tests.breaker.test_circuit_breaker import Down

POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=10.0)


class FarStore(InMemoryStore):
    """Has a view before it, like a store on a network."""

    reads_locally = False


@pytest.fixture(params=[InMemoryStore, FarStore], ids=["without a view", "with a view"])
def due(request: pytest.FixtureRequest, clock: Clock) -> InMemoryStore:
    """Return a store whose breaker "b" is due for a probe and whose breaker "c" is open."""
    store: InMemoryStore = request.param(clock=clock)
    store.record_failure("b", POLICY)
    clock.advance(10.0)
    store.record_failure("c", POLICY)
    return store


@pytest.fixture
def breaker(due: InMemoryStore) -> Iterator[CircuitBreaker]:
    with CircuitBreaker(due, POLICY) as made:
        yield made


@pytest.fixture(params=["the same object", "another object"])
def inner(request: pytest.FixtureRequest, due: InMemoryStore, breaker: CircuitBreaker) -> Iterator[CircuitBreaker]:
    """The breaker of the inner call: the outer breaker itself, or another object over the same row."""
    if request.param == "the same object":
        yield breaker
        return
    with CircuitBreaker(due, POLICY) as another:
        yield another


def state(store: InMemoryStore, name: str = "b") -> State:
    return store.read(name).state


def is_refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except CircuitBreakerOpenError:
        return True
    return False


def test_a_call_inside_the_probe_is_part_of_the_probe(
    due: InMemoryStore, breaker: CircuitBreaker, inner: CircuitBreaker
) -> None:
    with breaker.guard("b") as outer_permit:
        with inner.guard("b") as inner_permit:
            assert outer_permit.is_probe
            assert not inner_permit.is_probe
        assert inner.call("b", lambda: "made") == "made"
        assert state(due) is State.HALF_OPEN
    assert state(due) is State.CLOSED


def test_a_failure_inside_the_probe_is_reported_once(
    due: InMemoryStore, breaker: CircuitBreaker, inner: CircuitBreaker
) -> None:
    with pytest.raises(Down), breaker.guard("b"), inner.guard("b"):
        raise Down
    assert due.read("b").failure_count == 2
    assert is_refused(lambda: breaker.admit("b"))


@pytest.mark.parametrize("objects", [1, 2])
def test_an_awaited_call_inside_the_probe_is_part_of_the_probe(due: InMemoryStore, objects: int) -> None:
    async def main() -> None:
        breakers = [AsyncCircuitBreaker(due, POLICY) for _ in range(objects)]
        async with breakers[0].guard("b"):
            await breakers[-1].call("b", asyncio.sleep, 0)
            await asyncio.gather(*(breakers[-1].call("b", asyncio.sleep, 0) for _ in range(3)))
            assert state(due) is State.HALF_OPEN
        for breaker in breakers:
            await breaker.close()

    asyncio.run(main())
    assert state(due) is State.CLOSED


def test_a_call_in_a_thread_with_the_probe_s_context_is_part_of_the_probe(
    due: InMemoryStore, breaker: CircuitBreaker, inner: CircuitBreaker
) -> None:
    with ThreadPoolExecutor(2) as pool, breaker.guard("b"):
        run: list[Callable[..., Any]] = [contextvars.copy_context().run for _ in range(2)]
        done = [pool.submit(each, inner.call, "b", int) for each in run]
        assert [each.result() for each in done] == [0, 0]
    assert state(due) is State.CLOSED


def test_a_call_in_a_thread_without_the_context_is_refused_and_frees_the_probe(
    due: InMemoryStore, breaker: CircuitBreaker, inner: CircuitBreaker
) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(CircuitBreakerOpenError, match=r"contextvars\.copy_context\(\)\.run"),
        breaker.guard("b"),
    ):
        pool.submit(inner.call, "b", int).result()
    assert due.read("b").failure_count == 1, "the refusal is not the dependency's failure"
    assert breaker.admit("b").is_probe, "the slot is free"


def test_a_call_with_another_name_inside_the_probe_is_not_part_of_the_probe(breaker: CircuitBreaker) -> None:
    with breaker.guard("b"):
        assert is_refused(lambda: breaker.admit("c"))


def test_a_call_over_another_store_inside_the_probe_is_not_part_of_the_probe(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    elsewhere = InMemoryStore(clock=clock)
    elsewhere.force_open("b", 60.0)
    with breaker.guard("b"):
        assert is_refused(lambda: CircuitBreaker(elsewhere).admit("b"))
        elsewhere.force_open("b", 0.0)
        elsewhere.reset("b")
        elsewhere.force_open("b", 0.0)
        elsewhere.claim_probe("b")
        assert is_refused(lambda: CircuitBreaker(elsewhere).admit("b"))


def test_a_call_inside_a_lost_probe_is_refused(due: InMemoryStore, breaker: CircuitBreaker) -> None:
    with breaker.guard("b"):
        due.force_open("b", 10.0)
        with CircuitBreaker(due, POLICY) as another:
            assert is_refused(lambda: another.admit("b"))


def test_a_task_that_outlives_the_probe_is_an_ordinary_caller(due: InMemoryStore) -> None:
    async def later(breaker: AsyncCircuitBreaker, inside: asyncio.Event, over: asyncio.Event) -> None:
        async with breaker.guard("b"):
            inside.set()
        await over.wait()
        with pytest.raises(CircuitBreakerOpenError):
            await breaker.admit("b")

    async def main() -> None:
        inside, over = asyncio.Event(), asyncio.Event()
        async with AsyncCircuitBreaker(due, POLICY, max_staleness=0.0) as breaker:
            async with breaker.guard("b"):
                task = asyncio.create_task(later(breaker, inside, over))
                await inside.wait()
            due.force_open("b", 10.0)
            over.set()
            await task

    asyncio.run(main())


def test_the_consumer_of_a_generator_is_not_inside_its_probe(due: InMemoryStore, breaker: CircuitBreaker) -> None:
    def stream() -> Iterator[int]:
        with breaker.guard("b"):
            yield breaker.call("b", int)
            yield breaker.call("b", int)

    def stacked() -> Iterator[int]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(breaker.guard("b"))
            yield breaker.call("b", int)

    for make in (stream, stacked):
        items = make()
        next(items)
        assert is_refused(lambda: breaker.call("b", int))
        assert list(items) == [0] * (make is stream)
        assert state(due) is State.CLOSED
        breaker.force_open("b", 0.0)


def test_a_generator_that_is_deleted_frees_the_probe(breaker: CircuitBreaker) -> None:
    def stream() -> Iterator[int]:
        with breaker.guard("b"):
            yield 1

    items = stream()
    next(items)
    del items
    assert breaker.admit("b").is_probe


def test_the_block_of_a_context_manager_is_inside_its_probe(due: InMemoryStore, breaker: CircuitBreaker) -> None:
    @contextlib.contextmanager
    def connection() -> Iterator[None]:
        with breaker.guard("b"):
            yield

    with connection():
        breaker.call("b", int)
    assert state(due) is State.CLOSED


def test_the_consumer_of_an_async_generator_is_not_inside_its_probe_and_closing_frees_it() -> None:
    async def main() -> None:
        breaker = AsyncCircuitBreaker(AsyncInMemoryStore(), POLICY)

        async def stream() -> AsyncIterator[int]:
            async with breaker.guard("b"):
                for part in range(3):
                    await breaker.call("b", asyncio.sleep, 0)
                    yield part

        @contextlib.asynccontextmanager
        async def connection() -> AsyncIterator[None]:
            async with breaker.guard("b"):
                yield

        await breaker.force_open("b", 0.0)
        async with contextlib.aclosing(stream()) as parts:  # type: ignore[type-var] # a generator, though not by its type
            async for _ in parts:
                with pytest.raises(CircuitBreakerOpenError):
                    await breaker.call("b", asyncio.sleep, 0)
                break
        async with connection():
            await breaker.call("b", asyncio.sleep, 0)
        assert await breaker.state("b") is State.CLOSED
        await breaker.close()

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_is_not_inside_the_probe_and_does_not_report_it(
    due: InMemoryStore, breaker: CircuitBreaker
) -> None:
    def fork() -> int:
        """Fork, and return the child's exit code: 0 if the child is refused inside the block and reports nothing."""
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return -1

    try:
        with breaker.guard("b"):
            outcome = fork()
            refused = outcome != -1 or is_refused(lambda: breaker.admit("b"))
        reported = state(due) is not State.HALF_OPEN
    finally:
        if outcome == -1:
            os._exit(int(not refused) + 2 * int(reported))
    assert outcome == 0
    assert state(due) is State.CLOSED, "the parent reports"


def test_a_thread_without_the_probe_s_context_is_an_ordinary_caller(breaker: CircuitBreaker) -> None:
    refused: list[bool] = []
    with breaker.guard("b"):
        thread = threading.Thread(target=lambda: refused.append(is_refused(lambda: breaker.admit("b"))))
        thread.start()
        thread.join()
    assert refused == [True]
