"""Tests of work that a thread or a task repeats in the background."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cbstore_sql.runtime.periodic import Periodic
from cbstore_sql.runtime.periodic_async import AsyncPeriodic
from tests.breaker.drivers import Clock
from tests.runtime.threads import no_new_threads
from tests.waiting import PATIENCE


class Work:
    """Work that is repeated."""

    def __init__(self) -> None:
        self.done = threading.Event()

    def once_more(self) -> bool:
        self.done.set()
        return True


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_the_thread_ends_when_its_object_is_deleted() -> None:
    work = Work()
    periodic = Periodic("cbstore-test", lambda: 0.001, work.once_more)
    periodic.ensure()
    assert work.done.wait(PATIENCE)
    thread = next(thread for thread in threading.enumerate() if thread.name == "cbstore-test")
    del work
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_periodic_can_be_closed_while_another_thread_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work()
    periodic = Periodic("cbstore-test", lambda: 0.001, work.once_more)
    start = threading.Thread.start

    def closing_first(thread: threading.Thread) -> None:
        periodic.close()
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", closing_first)
        periodic.ensure()
    periodic.close()
    assert not work.done.is_set()
    assert "cbstore-test" not in threads()


def test_a_thread_that_cannot_start_raises_no_error_and_starts_later() -> None:
    work = Work()
    periodic = Periodic("cbstore-test", lambda: 0.001, work.once_more)
    with no_new_threads():
        periodic.ensure()
        periodic.close()
    periodic.ensure()
    assert work.done.wait(PATIENCE)
    periodic.close()


class AsyncWork:
    """Work that counts its calls and can be made to hang."""

    def __init__(self) -> None:
        self.calls = 0
        self.hangs = False

    async def once_more(self) -> bool:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        return True


@pytest.fixture
def work() -> AsyncWork:
    return AsyncWork()


def test_the_pause_continues_in_the_next_event_loop(work: AsyncWork) -> None:
    clock, pauses = Clock(), iter([5.0, 7.0, 9.0])
    periodic = AsyncPeriodic("cbstore-test", pauses.__next__, work.once_more, clock=clock)

    async def job() -> None:
        periodic.ensure()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    for _ in range(3):
        asyncio.run(job())
    assert work.calls == 0
    clock.advance(5.0)
    asyncio.run(job())
    assert work.calls == 1
    clock.advance(6.9)
    asyncio.run(job())
    assert work.calls == 1, "the second pause is not over"
    clock.advance(0.2)
    asyncio.run(job())
    assert work.calls == 2


def test_work_that_the_end_of_an_event_loop_interrupted_is_still_due(work: AsyncWork) -> None:
    clock = Clock()
    periodic = AsyncPeriodic("cbstore-test", lambda: 5.0, work.once_more, clock=clock)

    async def job() -> None:
        periodic.ensure()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(job())
    clock.advance(5.0)
    work.hangs = True
    for _ in range(3):
        asyncio.run(job())
    assert work.calls == 3


def test_one_caller_does_the_work_if_every_event_loop_ends_too_soon(work: AsyncWork) -> None:
    clock = Clock()
    periodic = AsyncPeriodic("cbstore-test", lambda: 5.0, work.once_more, clock=clock)
    told: list[bool] = []

    async def short_job() -> None:
        told.append(periodic.take_overdue())
        told.append(periodic.take_overdue())
        periodic.ensure()

    asyncio.run(short_job())
    assert told == [False, False], "nothing is due"
    asyncio.run(short_job())
    clock.advance(5.0)
    asyncio.run(short_job())
    assert told[2:] == [False, False, True, False], "one caller is told so, and then a pause begins"
    assert work.calls == 0
