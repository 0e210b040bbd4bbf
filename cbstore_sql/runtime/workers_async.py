"""Work in daemon threads for callers in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from cbstore_sql.runtime.workers import DaemonWorkers, Work

T = TypeVar("T")


async def run_in_thread(workers: DaemonWorkers, function: Callable[[], T]) -> T:
    """Call a function in a thread of a pool, and await its result.

    If the caller is cancelled before the function starts, the function is not called. If the caller is cancelled later,
    the function runs to its end. The function does not run in the event loop's default executor.

    Args:
        workers: The pool of threads.
        function: The function to call. It has no parameters.

    Raises:
        RuntimeError: No thread can start; see `DaemonWorkers.submit`.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    work = Work(function)

    def pass_on(_: Work[T]) -> None:
        # If the event loop is closed by now, no caller waits for the answer.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, answer, work)

    work.when_done(pass_on)
    workers.submit(work)
    try:
        return await answer
    finally:
        work.cancel()


def _settle(answer: asyncio.Future[T], work: Work[T]) -> None:
    if answer.done():
        return
    try:
        answer.set_result(work.result())
    except BaseException as error:  # noqa: BLE001 - the await of the answer raises the error
        # A future does not accept a StopIteration.
        answer.set_exception(error if not isinstance(error, StopIteration) else RuntimeError("StopIteration"))
