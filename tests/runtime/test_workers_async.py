"""Tests of awaiting work in daemon threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cbstore_sql.runtime.workers import DaemonWorkers
from cbstore_sql.runtime.workers_async import run_in_thread


@pytest.fixture
def workers() -> DaemonWorkers:
    return DaemonWorkers("cbstore-test", 3)


@pytest.fixture
def goes() -> Iterator[threading.Event]:
    """An event that ends hanging work."""
    event = threading.Event()
    yield event
    event.set()


def test_work_is_done_while_the_default_executor_is_busy_or_shut_down(workers: DaemonWorkers) -> None:
    async def main() -> list[int]:
        loop, busy = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        hanging = loop.run_in_executor(None, busy.wait)
        answers = [await run_in_thread(workers, lambda: 1)]
        busy.set()
        await hanging
        await loop.shutdown_default_executor()
        return [*answers, await run_in_thread(workers, lambda: 2)]

    assert asyncio.run(main()) == [1, 2]


def test_an_error_of_the_work_is_raised_in_the_event_loop(workers: DaemonWorkers) -> None:
    def fail(error: type[BaseException]) -> None:
        raise error

    for error, heard in ((KeyError, KeyError), (StopIteration, RuntimeError), (GeneratorExit, GeneratorExit)):
        with pytest.raises(heard):
            asyncio.run(run_in_thread(workers, lambda error=error: fail(error)))  # type: ignore[misc] # mypy's lambda


def test_work_that_outlives_its_event_loop_causes_no_error(workers: DaemonWorkers, goes: threading.Event) -> None:
    began = threading.Event()

    def hang() -> None:
        began.set()
        goes.wait()

    async def main() -> None:
        task = asyncio.ensure_future(run_in_thread(workers, hang))
        while not began.is_set():
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    goes.set()
    assert asyncio.run(run_in_thread(workers, lambda: 7)) == 7
