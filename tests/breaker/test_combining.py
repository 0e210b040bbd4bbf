"""Failures counted together: fewer writes, the same counts, the same trip."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    BreakerPolicy,
    CircuitBreaker,
    InMemoryStore,
    InvalidPolicyError,
    State,
    StoreUnavailableError,
    Transition,
)
from cbstore_sql.commands import Command
from cbstore_sql.events import BreakerEvent, Opened
from cbstore_sql.stores.async_combining import AsyncCombiningStore
from cbstore_sql.stores.combining import CombiningStore
from cbstore_sql.stores.memory import AsyncInMemoryStore

CALLS = 24
NEVER = BreakerPolicy(failure_threshold=1000)

# So long that only a full batch or the whole number of calls ends it within a test.
LONG = 0.5


class Counting(InMemoryStore):
    """Counts the writes, and fails them on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Command] = []
        self.error: Exception | None = None

    def _apply(self, command: Command) -> Transition | None:
        self.written.append(command)
        if self.error is not None:
            raise self.error
        return super()._apply(command)


def fail_at_once(store: CombiningStore, target: Any, policy: BreakerPolicy) -> list[Any]:
    barrier = threading.Barrier(CALLS)

    def fail(_: int) -> Any:
        barrier.wait()
        try:
            return store.record_failure(target, policy)
        except StoreUnavailableError as error:
            return error

    with ThreadPoolExecutor(CALLS) as pool:
        return list(pool.map(fail, range(CALLS)))


def test_failures_of_a_moment_are_one_write_and_none_is_lost() -> None:
    counting = Counting()
    answers = fail_at_once(CombiningStore(counting, LONG), "b", NEVER)
    assert len(counting.written) < CALLS / 2
    assert counting.read("b").failure_count == CALLS
    assert all(answer.snapshot.failure_count <= CALLS for answer in answers)


def test_as_many_as_the_threshold_wait_for_nobody_and_one_caller_sees_the_circuit_open() -> None:
    counting = Counting()
    permit = counting.read("b").permit
    answers = fail_at_once(CombiningStore(counting, 3600.0), permit, BreakerPolicy(failure_threshold=CALLS))
    assert counting.read("b").state is State.OPEN
    assert counting.read("b").failure_count == CALLS
    assert [answer.changed for answer in answers].count(True) == 1


def test_a_permit_from_before_counts_for_none_of_them() -> None:
    counting = Counting()
    permit = counting.read("b").permit
    counting.reset("b")
    assert fail_at_once(CombiningStore(counting, LONG), permit, NEVER) == [None] * CALLS
    assert counting.read("b").failure_count == 0


def test_different_policies_names_and_generations_are_not_mixed() -> None:
    counting = Counting()
    store = CombiningStore(counting, 0.01)
    with ThreadPoolExecutor(4) as pool:
        pool.submit(store.record_failure, "a", NEVER)
        pool.submit(store.record_failure, "b", NEVER)
        pool.submit(store.record_failure, "b", BreakerPolicy(failure_threshold=999))
        pool.submit(store.record_failure, counting.read("b").permit, NEVER)
    assert len(counting.written) == 4


def test_a_store_error_reaches_everybody_whose_failure_it_was() -> None:
    counting = Counting()
    counting.error = StoreUnavailableError("gone")
    assert fail_at_once(CombiningStore(counting, LONG), "b", NEVER) == [counting.error] * CALLS


def test_everything_but_failures_of_a_closed_circuit_goes_straight_through() -> None:
    counting = Counting()
    store = CombiningStore(counting, 3600.0)
    store.force_open("b", 0.0)
    claim = store.claim_probe("b")
    assert claim is not None
    assert store.record_failure(claim.permit) is not None
    store.reset("b")
    assert store.record_failure("b", now=1.0) is not None
    assert store.record_success("b") is not None
    assert len(counting.written) == 6


def test_tasks_are_combined_too_and_a_cancelled_one_is_counted() -> None:
    memory = AsyncInMemoryStore()
    store = AsyncCombiningStore(memory, 0.01)

    async def fail_all() -> None:
        tasks = [asyncio.ensure_future(store.record_failure("b", NEVER)) for _ in range(CALLS)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[5].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 2
        assert (await memory.read("b")).failure_count == CALLS
        permit = (await memory.read("b")).permit
        opening = await asyncio.gather(*[store.record_failure(permit, BreakerPolicy()) for _ in range(5)])
        assert [answer is not None and answer.changed for answer in opening].count(True) == 1

    asyncio.run(fail_all())


def test_a_breaker_combines_where_it_is_told_to() -> None:
    counting, opened = Counting(), list[BreakerEvent]()
    policy = BreakerPolicy(failure_threshold=CALLS)
    breaker = CircuitBreaker(counting, policy, flush_interval=3600.0, listeners=[opened.append])
    barrier = threading.Barrier(CALLS)

    def fail() -> None:
        barrier.wait()
        raise ValueError

    def call(_: int) -> None:
        with suppress(ValueError):
            breaker.call("b", fail)

    with ThreadPoolExecutor(CALLS) as pool:
        list(pool.map(call, range(CALLS)))
    assert counting.read("b").state is State.OPEN
    assert len([event for event in opened if isinstance(event, Opened)]) == 1
    assert len(counting.written) == 1


@pytest.mark.parametrize("make", [CircuitBreaker, AsyncCircuitBreaker])
def test_an_interval_that_is_none_is_refused(make: Any) -> None:
    with pytest.raises(InvalidPolicyError):
        make(InMemoryStore(), flush_interval=-1.0)
