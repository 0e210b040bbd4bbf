"""Guarded calls are made without threads or executors, with hooks that raise, and with signals. No resource leaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    InMemoryStore,
    LLMCircuitBreaker,
    LLMCircuitBreakerConfig,
    SqlStore,
    State,
    Store,
    Transition,
    migrate,
)
from cbstore_sql.core.commands import Command
from cbstore_sql.events import BreakerEvent, StoreDegraded
from cbstore_sql.stores.threaded import ThreadedStore
from tests.runtime.threads import no_new_threads
from tests.waiting import PATIENCE, eventually

PROBING = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0, probe_lease=60.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    return url


async def answer() -> str:
    return "answer"


class TokenError(Exception):
    """The error of a hook, such as one that fetches a token from a cloud. It is not a driver's error."""


@pytest.mark.parametrize("hook", ["do_connect", "connect", "checkout", "checkin"])
def test_a_connection_hook_that_raises_does_not_stop_a_call(
    url: str, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    broken = False

    @sa.event.listens_for(engine, hook)
    def fail(*_: object) -> None:
        if broken:
            raise TokenError("s3cr3t")

    with CircuitBreaker(SqlStore(engine), max_staleness=0, store_timeout=PATIENCE) as breaker:
        breaker._controller.outage.watch = lambda: None
        breaker.call("b", str)
        broken = True
        assert [breaker.call("b", lambda: "answer") for _ in range(3)] == ["answer"] * 3
        (line,) = caplog.records
        assert "TokenError" in line.getMessage() or "StoreUnavailableError" in line.getMessage()
        assert "s3cr3t" not in caplog.text
        broken = False
        assert breaker.check_store()
        breaker.force_open("b", 60.0)
        with pytest.raises(CircuitBreakerOpenError):
            breaker.call("b", str)
    engine.dispose()


def test_a_creator_that_raises_does_not_stop_a_call(url: str) -> None:
    broken = True

    def connect() -> Any:
        if broken:
            raise TokenError
        return sa.create_engine(url).raw_connection().driver_connection

    engine = sa.create_engine(url, creator=connect, poolclass=sa.NullPool)
    with CircuitBreaker(SqlStore(engine), store_timeout=PATIENCE) as breaker:
        assert breaker.call("b", lambda: "answer") == "answer"
        broken = False
        assert breaker.check_store()


def test_a_hook_of_an_asynchronous_engine_that_raises_does_not_stop_a_call(url: str) -> None:
    async def main() -> None:
        engine = create_async_engine(url.replace("sqlite", "sqlite+aiosqlite"), poolclass=sa.NullPool)
        broken = True

        @sa.event.listens_for(engine.sync_engine, "do_connect")
        def fail(*_: object) -> None:
            if broken:
                raise TokenError

        async with AsyncCircuitBreaker(AsyncSqlStore(engine), store_timeout=PATIENCE) as breaker:
            assert await breaker.call("b", answer) == "answer"
            assert breaker._controller.is_out
            broken = False
            assert await breaker.check_store()

    asyncio.run(main())


def stores(url: str) -> dict[str, Store]:
    return {"a URL": SqlStore(url), "an engine": SqlStore(sa.create_engine(url)), "an own one": Slow()}


class Slow(InMemoryStore):
    """A custom store that keeps no deadlines."""

    keeps_deadlines = False
    reads_locally = False


@pytest.mark.parametrize("kind", ["a URL", "an engine", "an own one"])
def test_calls_are_made_while_no_thread_can_start_and_the_store_is_used_again_later(url: str, kind: str) -> None:
    store = stores(url)[kind]
    with CircuitBreaker(store, max_staleness=0, store_timeout=PATIENCE) as breaker:
        with no_new_threads():
            assert [breaker.call("b", lambda: "answer") for _ in range(20)] == ["answer"] * 20
        assert eventually(breaker.check_store)
        assert not breaker._controller.is_out
        breaker.force_open("b", 60.0)
        with pytest.raises(CircuitBreakerOpenError):
            breaker.call("b", str)


@pytest.mark.parametrize("kind", ["a URL", "an engine", "an own one"])
def test_awaited_calls_are_made_while_no_thread_can_start(url: str, kind: str) -> None:
    async def main() -> None:
        async with AsyncCircuitBreaker(stores(url)[kind], max_staleness=0, store_timeout=PATIENCE) as breaker:
            with no_new_threads():
                assert [await breaker.call("b", answer) for _ in range(20)] == ["answer"] * 20
            assert await breaker.check_store()
            await breaker.force_open("b", 60.0)
            with pytest.raises(CircuitBreakerOpenError):
                await breaker.call("b", answer)

    asyncio.run(main())


def test_a_probe_is_made_and_settled_while_no_thread_can_renew_its_lease(caplog: pytest.LogCaptureFixture) -> None:
    store = InMemoryStore()
    store.record_failure("b", PROBING)
    breaker = CircuitBreaker(store, PROBING)
    with no_new_threads():
        assert breaker.call("b", lambda: "answer") == "answer"
    assert store.read("b").state is State.CLOSED
    (line,) = (record for record in caplog.records if "lease" in record.getMessage())
    assert "RuntimeError" in line.getMessage()


def test_llm_calls_are_made_while_no_thread_can_start(url: str) -> None:
    breaker = LLMCircuitBreaker(LLMCircuitBreakerConfig(enabled=True), store=SqlStore(url), store_timeout=PATIENCE)
    with no_new_threads():
        assert asyncio.run(breaker.call_with_retry(answer)) == "answer"
        assert breaker.should_block() is False


@pytest.mark.parametrize("state", ["busy", "shut down"])
def test_the_store_does_not_use_the_default_executor_of_the_event_loop(url: str, state: str) -> None:
    events: list[BreakerEvent] = []

    async def main() -> None:
        loop, busy = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        breaker = AsyncCircuitBreaker(SqlStore(url), max_staleness=0, listeners=[events.append], store_timeout=PATIENCE)
        llm = LLMCircuitBreaker(
            LLMCircuitBreakerConfig(enabled=True),
            store=SqlStore(url),
            listeners=[events.append],
            store_timeout=PATIENCE,
        )
        occupied = loop.run_in_executor(None, busy.wait)
        if state == "shut down":
            busy.set()
            await occupied
            await loop.shutdown_default_executor()
        assert await breaker.call("b", answer) == "answer"
        assert await llm.call_with_retry(answer) == "answer"
        await breaker.close()
        busy.set()
        await occupied

    asyncio.run(main())
    assert not [event for event in events if isinstance(event, StoreDegraded)]


class TimeLimit(Exception):
    """The error that a task queue raises in a task that takes too long."""


def raise_time_limit(number: int, frame: object) -> NoReturn:
    raise TimeLimit


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Raise `TimeLimit` from a signal handler in the calling code."""
    before = signal.signal(signal.SIGUSR1, raise_time_limit)
    yield lambda: signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


class Interrupted(InMemoryStore):
    """A store during whose operations a signal arrives."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        super().__init__()
        self.interrupt = interrupt
        self.on = ""

    def _read(self, name: str, now: float | None) -> Any:
        if self.on == "read":
            self.interrupt()
        return super()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        transition = super()._apply(command)
        if self.on == command.operation:
            self.interrupt()
        return transition


@pytest.mark.parametrize("operation", ["read", "claim_probe", "record_success", "record_failure"])
def test_an_exception_of_a_signal_handler_reaches_the_program_and_begins_no_outage(
    interrupt: Callable[[], None], operation: str
) -> None:
    store = Interrupted(interrupt)
    breaker = CircuitBreaker(store, PROBING if operation != "record_failure" else BreakerPolicy())
    if operation != "record_failure":
        store.record_failure("b", PROBING)
    store.on = operation

    def guarded() -> None:
        if operation == "record_failure":
            raise ConnectionError

    with pytest.raises(TimeLimit):
        breaker.call("b", guarded)
    assert not breaker._controller.is_out
    store.on = ""
    assert breaker.check_store(), "a probe that was claimed for nobody is given back"
    assert store.read("b").probe_token == ""


def test_an_exception_of_a_signal_handler_passes_through_async_breakers_and_listeners(
    interrupt: Callable[[], None],
) -> None:
    store = Interrupted(interrupt)
    store.record_failure("b")
    store.on = "record_success"

    async def main() -> None:
        breaker = AsyncCircuitBreaker(ThreadlessStore(store))
        with pytest.raises(TimeLimit):
            await breaker.call("b", answer)
        assert not breaker._controller.is_out

    asyncio.run(main())
    store.on = ""
    listening = CircuitBreaker(store, PROBING, listeners=[lambda _: interrupt()])
    with pytest.raises(TimeLimit):
        listening.call("b", str)


class ThreadlessStore(ThreadedStore):
    """Runs the operations of a store in the thread of the event loop, where signals arrive."""

    async def _run(self, operation: Callable[[], Any]) -> Any:
        return operation()


def test_the_interruption_of_one_thread_s_batch_does_not_interrupt_other_threads(interrupt: Callable[[], None]) -> None:
    class Blocking(InMemoryStore):
        """A store that blocks its first write, and that a signal interrupts in the write of the main thread."""

        def __init__(self) -> None:
            super().__init__()
            self.begun, self.goes = threading.Event(), threading.Event()

        def _apply(self, command: Command) -> Transition | None:
            if not self.begun.is_set():
                self.begun.set()
                self.goes.wait(PATIENCE)
            elif threading.current_thread() is threading.main_thread():
                interrupt()
            return super()._apply(command)

    store = Blocking()
    breaker = CircuitBreaker(store, BreakerPolicy(failure_threshold=1000), flush_interval=0.2, store_timeout=PATIENCE)
    first, second = breaker.admit("b"), breaker.admit("b")
    with ThreadPoolExecutor(2) as threads:
        alone = threads.submit(breaker.failure, first)
        assert store.begun.wait(PATIENCE)

        def follow() -> None:
            assert eventually(lambda: breaker.store._open)  # type: ignore[attr-defined] # a CombiningStore
            breaker.failure(second)

        follower = threads.submit(follow)
        with pytest.raises(TimeLimit):
            breaker.failure(breaker.admit("b"))
        store.goes.set()
        assert alone.result() is None
        assert follower.result() is None, "it goes by the outage policy"


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "fork"), reason="POSIX only")
def test_short_jobs_that_each_run_their_own_event_loop_end_an_outage(url: str) -> None:
    class Flaky(SqlStore):
        out = True

        def _read(self, name: str, now: float | None) -> Any:
            if self.out:
                raise TokenError
            return super()._read(name, now)

    store = Flaky(url)
    breaker = AsyncCircuitBreaker(store, max_staleness=0, store_timeout=PATIENCE)

    async def job() -> str:
        return await breaker.call("b", answer)

    assert [asyncio.run(job()) for _ in range(3)] == ["answer"] * 3
    assert breaker._controller.is_out
    store.out = False
    deadline = time.monotonic() + PATIENCE
    while breaker._controller.is_out and time.monotonic() < deadline:
        assert asyncio.run(job()) == "answer"
    assert not breaker._controller.is_out
