"""Tests of threads for work that may hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cbstore_sql.runtime.workers import DaemonWorkers, Work
from tests.runtime.threads import no_new_threads
from tests.waiting import PATIENCE, eventually

LIMIT = 3


@pytest.fixture
def workers() -> DaemonWorkers:
    return DaemonWorkers("cbstore-test", LIMIT)


@pytest.fixture
def goes() -> Iterator[threading.Event]:
    """An event that ends hanging work."""
    event = threading.Event()
    yield event
    event.set()


def done(workers: DaemonWorkers, work: Work[int]) -> int:
    workers.submit(work)
    assert work.wait(PATIENCE)
    return work.result()


def test_an_idle_thread_is_used_again(workers: DaemonWorkers) -> None:
    threads = {done(workers, Work(threading.get_ident)) for _ in range(5)}
    assert len(threads) == 1


def test_work_that_hangs_leaves_the_other_threads_free(workers: DaemonWorkers, goes: threading.Event) -> None:
    for _ in range(LIMIT - 1):
        workers.submit(Work(goes.wait))
    assert done(workers, Work(lambda: 7)) == 7


def test_work_beyond_the_limit_waits_and_can_be_cancelled(workers: DaemonWorkers, goes: threading.Event) -> None:
    for _ in range(LIMIT):
        workers.submit(Work(goes.wait))
    waiting, cancelled = Work(lambda: 7), Work(lambda: 8)
    workers.submit(waiting)
    workers.submit(cancelled)
    assert not waiting.wait(0.01)
    assert cancelled.cancel()
    goes.set()
    assert waiting.wait(PATIENCE)
    assert not waiting.cancel(), "it has ended"
    assert not cancelled.wait(0.01)


def test_when_done_calls_its_function_before_and_after_the_end_of_the_work(
    workers: DaemonWorkers, goes: threading.Event
) -> None:
    told: list[bool] = []
    work = Work(goes.wait)
    work.when_done(lambda ended: told.append(ended.result()))
    workers.submit(work)
    goes.set()
    assert eventually(lambda: told == [True])
    work.when_done(lambda ended: told.append(ended.result()))
    assert told == [True, True]


def test_work_is_refused_while_no_thread_can_start_and_later_work_is_done(workers: DaemonWorkers) -> None:
    with no_new_threads():
        for _ in range(2 * LIMIT):
            with pytest.raises(RuntimeError):
                workers.submit(Work(int))
    for number in range(2 * LIMIT):
        assert done(workers, Work(lambda number=number: number)) == number  # type: ignore[misc] # mypy's lambda


def test_running_threads_do_the_work_if_no_further_thread_can_start(
    workers: DaemonWorkers, goes: threading.Event
) -> None:
    workers.submit(Work(goes.wait))
    with no_new_threads():
        waiting = Work(lambda: 7)
        workers.submit(waiting)
    goes.set()
    assert waiting.wait(PATIENCE)
    assert waiting.result() == 7
