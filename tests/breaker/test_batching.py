"""Tests of the batching of failures: fewer writes, the same counts, the same opening."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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
from cbstore_sql.core.commands import Command
from cbstore_sql.deadline import within
from cbstore_sql.events import BreakerEvent, Opened
from cbstore_sql.stores.batching import CombiningStore, combining
from tests.waiting import PATIENCE, eventually

CALLS = 24
NEVER = BreakerPolicy(failure_threshold=1000)

ENDLESS = 2 * PATIENCE
"""Seconds that no test waits: whatever waits so long is let go by it, or has no need to wait."""


class Counting(InMemoryStore):
    """A store that counts its writes, can make them fail, and can block the first write until a test releases it."""

    def __init__(self, namespace: str = "default") -> None:
        super().__init__(namespace)
        self.written: list[Command] = []
        self.error: Exception | None = None
        self.closed = False
        self.released = threading.Event()
        self.released.set()

    def _apply(self, command: Command) -> Transition | None:
        self.written.append(command)
        if len(self.written) == 1:
            assert self.released.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return super()._apply(command)

    def close(self) -> None:
        self.closed = True


def gathered(store: CombiningStore) -> int:
    return sum(batch.callers for batch in store._open.values())


def let_go(store: CombiningStore) -> None:
    """Release all waiting callers."""
    for batch in list(store._open.values()):
        batch.full.set()


@contextmanager
def one_being_written(counting: Counting, store: CombiningStore) -> Iterator[ThreadPoolExecutor]:
    """Yield a thread pool while one write of a failure of ``b`` is blocked. At the end, release all callers."""
    counting.released.clear()
    with ThreadPoolExecutor(4) as pool:
        try:
            pool.submit(store.record_failure, "b", NEVER)
            assert eventually(lambda: counting.written)
            yield pool
        finally:
            counting.released.set()
            let_go(store)


def fail_at_once(counting: Counting, store: CombiningStore, target: Any, policy: BreakerPolicy) -> list[Any]:
    """Report failures from many threads. While the first one is written, the others are gathered in a batch."""
    counting.released.clear()

    def fail(_: int) -> Any:
        try:
            return store.record_failure(target, policy)
        except StoreUnavailableError as error:
            return error

    with ThreadPoolExecutor(CALLS) as pool:
        answers = pool.map(fail, range(CALLS))
        assert eventually(lambda: gathered(store) == CALLS - 1 or len(counting.written) > 1)
        counting.released.set()
        let_go(store)
        return list(answers)


def test_failures_at_the_same_time_are_two_writes_and_all_are_counted() -> None:
    counting = Counting()
    answers = fail_at_once(counting, CombiningStore(counting, ENDLESS), "b", NEVER)
    assert [command.parameters["failures"] for command in counting.written] == [1, CALLS - 1]
    assert counting.read("b").failure_count == CALLS
    assert all(answer.snapshot.failure_count <= CALLS for answer in answers)


def test_a_single_failure_is_written_at_once() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    for _ in range(CALLS):
        store.record_failure("b", NEVER)
    assert len(counting.written) == CALLS


def test_after_a_batch_a_failure_waits_for_others_until_one_has_waited_in_vain() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    fail_at_once(counting, store, "b", NEVER)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(store.record_failure, "b", NEVER)
        assert eventually(lambda: gathered(store) == 1)
        store.record_failure("another", NEVER)
        let_go(store)
    store.record_failure("b", NEVER)
    assert [command.parameters["failures"] for command in counting.written] == [1, CALLS - 1, 1, 1, 1]


def test_after_a_failed_single_write_the_next_failure_is_written_at_once() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    counting.error = StoreUnavailableError("gone")
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            store.record_failure("b", NEVER)


def test_a_failure_waits_at_most_for_the_interval() -> None:
    counting = Counting()
    store = CombiningStore(counting, 0.001)
    with one_being_written(counting, store):
        assert store.record_failure("b", NEVER) is not None
    assert counting.read("b").failure_count == 2


def test_a_batch_that_reaches_the_threshold_is_written_at_once_and_one_caller_sees_the_opening() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    counting.released.clear()
    policy = BreakerPolicy(failure_threshold=CALLS)
    permit = counting.read("b").permit
    with ThreadPoolExecutor(CALLS) as pool:
        answers = [pool.submit(store.record_failure, permit, policy) for _ in range(CALLS)]
        assert eventually(lambda: len(counting.written) == 2), "the others do not wait for the one that is held"
        counting.released.set()
        changed = [answer.result().changed for answer in answers]  # type: ignore[union-attr]
    assert counting.read("b").state is State.OPEN
    assert counting.read("b").failure_count == CALLS
    assert changed.count(True) == 1


def test_a_batch_with_an_old_permit_counts_nothing() -> None:
    counting = Counting()
    permit = counting.read("b").permit
    counting.reset("b")
    counting.written.clear()
    assert fail_at_once(counting, CombiningStore(counting, ENDLESS), permit, NEVER) == [None] * CALLS
    assert counting.read("b").failure_count == 0


def test_different_policies_names_and_generations_are_not_mixed() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    with one_being_written(counting, store) as pool:
        pool.submit(store.record_failure, "b", NEVER)
        pool.submit(store.record_failure, "b", BreakerPolicy(failure_threshold=999))
        pool.submit(store.record_failure, counting.read("b").permit, NEVER)
        store.record_failure("a", NEVER)
        assert eventually(lambda: gathered(store) == 3)
    assert len(counting.written) == 5


def test_a_store_error_reaches_every_caller_of_the_batch() -> None:
    counting = Counting()
    counting.error = StoreUnavailableError("gone")
    assert fail_at_once(counting, CombiningStore(counting, ENDLESS), "b", NEVER) == [counting.error] * CALLS


def test_only_failures_of_a_closed_circuit_are_batched() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    fail_at_once(counting, store, "b", NEVER)
    counting.written.clear()
    store.force_open("b", 0.0)
    claim = store.claim_probe("b")
    assert claim is not None
    assert store.record_failure(claim.permit) is not None
    store.reset("b")
    assert store.record_failure("b", now=1.0) is not None
    assert store.record_success("b") is not None
    assert len(counting.written) == 6
    store._delete("b")
    assert store.read("b").generation == 0


def test_a_combining_store_has_the_attributes_of_its_inner_store_and_closes_it() -> None:
    counting = Counting(namespace="ours")
    store = CombiningStore(counting, ENDLESS)
    assert (store.namespace, store.reads_locally, store.keeps_deadlines) == ("ours", True, True)
    assert combining(counting, 0.0) is counting
    store.close()
    assert counting.closed


def test_reports_with_different_counts_and_random_numbers_are_batched_together() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    policy = BreakerPolicy(failure_threshold=1000, recovery_jitter=0.5)
    with one_being_written(counting, store) as pool:
        pool.submit(store.record_failure, "b", policy, failures=2, rand=0.5)
        pool.submit(store.record_failure, "b", policy, failures=3, rand=1.0)
        assert eventually(lambda: gathered(store) == 2)
    assert [command.parameters["failures"] for command in counting.written] == [1, 5]


def test_a_caller_whose_deadline_is_over_does_not_wait_for_the_batch() -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)
    with one_being_written(counting, store) as pool:
        pool.submit(store.record_failure, "b", NEVER)
        assert eventually(lambda: gathered(store) == 1)
        with within(0.001), pytest.raises(StoreUnavailableError) as late:
            store.record_failure("b", NEVER)
        assert late.value.applied is None
    assert counting.read("b").failure_count == 3, "it is counted with them"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Restore the signal's default handler, because a background process may ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_caller_does_not_delay_the_others_of_its_batch(interruptible: None) -> None:
    counting = Counting()
    store = CombiningStore(counting, ENDLESS)

    def interrupt() -> Any:
        assert eventually(lambda: gathered(store) == 1)
        follower = pool.submit(store.record_failure, "b", NEVER)
        main = threading.main_thread().ident or 0
        assert eventually(lambda: gathered(store) == 2 and sys._current_frames()[main].f_code.co_name == "wait")
        signal.pthread_kill(main, signal.SIGINT)
        return follower.exception(PATIENCE)

    with one_being_written(counting, store) as pool:
        interrupted = pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.record_failure("b", NEVER)
        error = interrupted.result()
        assert isinstance(error, StoreUnavailableError)
        assert error.applied is False
        assert gathered(store) == 0
    assert len(counting.written) == 1


def test_a_breaker_with_flush_interval_batches_failures() -> None:
    counting, opened = Counting(), list[BreakerEvent]()
    counting.released.clear()
    policy = BreakerPolicy(failure_threshold=CALLS)
    breaker = CircuitBreaker(counting, policy, flush_interval=ENDLESS, store_timeout=None, listeners=[opened.append])
    barrier = threading.Barrier(CALLS)

    def fail() -> None:
        barrier.wait()
        raise ValueError

    def call(_: int) -> None:
        with suppress(ValueError):
            breaker.call("b", fail)

    with ThreadPoolExecutor(CALLS) as pool:
        calls = pool.map(call, range(CALLS))
        assert eventually(lambda: len(counting.written) == 2)
        counting.released.set()
        list(calls)
    assert counting.read("b").state is State.OPEN
    assert len([event for event in opened if isinstance(event, Opened)]) == 1
    assert len(counting.written) == 2


@pytest.mark.parametrize("make", [CircuitBreaker, AsyncCircuitBreaker])
@pytest.mark.parametrize("interval", [-1.0, 0.25])
def test_an_invalid_interval_or_one_that_leaves_no_time_to_write_is_refused(make: Any, interval: float) -> None:
    with pytest.raises(InvalidPolicyError, match="flush_interval"):
        make(InMemoryStore(), flush_interval=interval, store_timeout=0.25)
    make(InMemoryStore(), flush_interval=0.24, store_timeout=0.25)
