"""A breaker guarded once more inside its own probe: the inner call is part of the probe."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    InMemoryStore,
    State,
)
from tests.breaker.drivers import Clock
from tests.breaker.test_circuit_breaker import Down

POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=10.0)


@pytest.fixture
def due(store: InMemoryStore, clock: Clock) -> InMemoryStore:
    """A store whose breaker "b" lets a probe through and whose breaker "c" is open."""
    store.record_failure("b", POLICY)
    clock.advance(10.0)
    store.record_failure("c", POLICY)
    return store


def test_a_probe_that_guards_itself_closes_the_circuit(due: InMemoryStore) -> None:
    breaker = CircuitBreaker(due, POLICY)
    with breaker.guard("b") as outer:
        with breaker.guard("b") as inner:
            assert outer.is_probe
            assert not inner.is_probe
        assert due.read("b").state is State.HALF_OPEN
    assert due.read("b").state is State.CLOSED


def test_so_does_an_awaited_one(due: InMemoryStore) -> None:
    async def probe() -> None:
        breaker = AsyncCircuitBreaker(due, POLICY)
        async with breaker.guard("b"):
            await breaker.call("b", asyncio.sleep, 0)
            assert due.read("b").state is State.HALF_OPEN

    asyncio.run(probe())
    assert due.read("b").state is State.CLOSED


def test_its_failure_is_reported_once(due: InMemoryStore) -> None:
    breaker = CircuitBreaker(due, POLICY)
    with pytest.raises(Down), breaker.guard("b"), breaker.guard("b"):
        raise Down
    assert due.read("b").failure_count == 2
    with pytest.raises(CircuitBreakerOpenError), breaker.guard("b"):
        pass


def test_another_breaker_in_it_is_another_breaker(due: InMemoryStore) -> None:
    breaker = CircuitBreaker(due, POLICY)
    with breaker.guard("b"), pytest.raises(CircuitBreakerOpenError), breaker.guard("c"):
        pass


def test_another_thread_is_not_in_the_probe(due: InMemoryStore) -> None:
    breaker = CircuitBreaker(due, POLICY)
    refused: list[CircuitBreakerOpenError] = []

    def stranger() -> None:
        with pytest.raises(CircuitBreakerOpenError) as caught:
            breaker.admit("b")
        refused.append(caught.value)

    with breaker.guard("b"):
        thread = threading.Thread(target=stranger)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_a_task_that_outlives_the_probe_is_a_caller_like_any_other(due: InMemoryStore) -> None:
    breaker = AsyncCircuitBreaker(due, POLICY)

    async def later(inside: asyncio.Event, over: asyncio.Event) -> None:
        async with breaker.guard("b"):
            inside.set()
        await over.wait()
        with pytest.raises(CircuitBreakerOpenError):
            await breaker.admit("b")

    async def probe() -> None:
        inside, over = asyncio.Event(), asyncio.Event()
        async with breaker.guard("b"):
            task = asyncio.create_task(later(inside, over))
            await inside.wait()
        due.force_open("b", 10.0)
        over.set()
        await task

    asyncio.run(probe())
