"""A store of any kind that hangs delays no caller beyond the deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, InvalidPolicyError, Snapshot, Transition
from cbstore_sql.core.commands import Command
from cbstore_sql.deadline import remaining, within
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.memory import AsyncInMemoryStore, InMemoryStore
from cbstore_sql.stores.timeout import TimeoutWorkers
from tests.breaker.conftest import Make
from tests.breaker.test_circuit_breaker import Down, fail
from tests.waiting import PATIENCE

POLICY = BreakerPolicy(failure_threshold=3)
READ, WRITE = StoreCall("read", ("b",)), StoreCall("record_failure", ("b",))


class Hanging(InMemoryStore):
    """A store that hangs until a test releases it. It keeps no deadlines, like many custom stores."""

    keeps_deadlines = False
    reads_locally = False

    def __init__(self) -> None:
        super().__init__()
        self.goes = threading.Event()
        self.goes.set()

    def _read(self, name: str, now: float | None) -> Snapshot:
        self.goes.wait()
        return super()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        self.goes.wait()
        return super()._apply(command)


class AsyncHanging(AsyncInMemoryStore):
    """The asynchronous version of this store."""

    keeps_deadlines = False
    reads_locally = False

    async def _read(self, name: str, now: float | None) -> Snapshot:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    store = Hanging()
    yield store
    store.goes.set()


def test_an_admission_and_a_report_end_at_the_deadline(make: Make, hanging: Hanging) -> None:
    breaker = make(hanging, POLICY, store_timeout=0.02, max_staleness=0)
    hanging.goes.clear()
    assert breaker.call("b", lambda: "answer") == "answer"
    hanging.goes.set()
    assert breaker.do("check_store")
    permit = breaker.admit("b")
    hanging.goes.clear()
    breaker.do("failure", permit)
    with pytest.raises(Down):
        breaker.call("b", fail)
    hanging.goes.set()
    assert breaker.told() == ["StoreDegraded", "StoreRecovered", "StoreDegraded"]


def test_a_call_does_not_wait_for_an_asynchronous_store_that_hangs() -> None:
    async def call() -> str:
        breaker = AsyncCircuitBreaker(AsyncHanging(), POLICY, store_timeout=0.02)
        answer = await breaker.call("b", asyncio.sleep, 0, "answer")
        await breaker.close()
        return answer

    assert asyncio.run(call()) == "answer"


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), "1"])
def test_an_invalid_store_timeout_is_refused(make: Make, hanging: Hanging, timeout: float) -> None:
    with pytest.raises(InvalidPolicyError, match="store_timeout"):
        make(hanging, POLICY, store_timeout=timeout)


def test_a_timed_out_write_may_have_had_an_effect_and_a_timed_out_read_has_not(hanging: Hanging) -> None:
    workers = TimeoutWorkers()
    hanging.goes.clear()
    for ask, applied in ((READ, False), (WRITE, None)):
        with pytest.raises(StoreUnavailableError) as timeout_error, within(0.01):
            workers.carry_out(ask, hanging.goes.wait)
        assert timeout_error.value.applied is applied


def test_work_that_did_not_begin_in_time_never_runs(hanging: Hanging) -> None:
    workers = TimeoutWorkers()
    hanging.goes.clear()
    begun: list[int] = []

    def hang() -> None:
        begun.append(1)
        hanging.goes.wait()

    while len(begun) < 8:
        with suppress(StoreUnavailableError), within(0.01):
            workers.carry_out(WRITE, hang)
    late: list[int] = []
    with pytest.raises(StoreUnavailableError) as timeout_error, within(0.001):
        workers.carry_out(WRITE, lambda: late.append(1))
    assert timeout_error.value.applied is False
    hanging.goes.set()
    assert workers.carry_out(WRITE, lambda: "answer") == "answer"
    assert late == []


def test_work_in_a_thread_has_the_caller_s_deadline_and_its_error_reaches_the_caller() -> None:
    workers = TimeoutWorkers()
    with within(60.0):
        assert workers.carry_out(READ, remaining) is not None
    with pytest.raises(Down):
        workers.carry_out(READ, fail)


def test_an_answer_after_the_deadline_is_passed_to_the_callback(hanging: Hanging) -> None:
    workers, begun, late = TimeoutWorkers(), threading.Event(), threading.Event()
    hanging.goes.clear()

    def hang() -> str:
        begun.set()
        hanging.goes.wait()
        return "answer"

    answers: list[str] = []

    def take(answer: str) -> None:
        answers.append(answer)
        late.set()

    while not begun.is_set():
        with suppress(StoreUnavailableError), within(0.01):
            workers.carry_out(WRITE, hang, abandoned=take)
    assert answers == []
    hanging.goes.set()
    assert late.wait(PATIENCE)
    assert answers == ["answer"]


def test_an_error_after_the_deadline_is_dropped(hanging: Hanging) -> None:
    workers, begun = TimeoutWorkers(), threading.Event()
    hanging.goes.clear()

    def hang() -> None:
        begun.set()
        hanging.goes.wait()
        raise Down

    while not begun.is_set():
        with suppress(StoreUnavailableError), within(0.01):
            workers.carry_out(WRITE, hang, abandoned=lambda _: pytest.fail("there is no answer"))
    hanging.goes.set()
    assert workers.carry_out(WRITE, lambda: "answer") == "answer"
