"""Tasks that go on when the await that started them is cancelled, and the event loop that a store is used in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cbstore_sql.errors import ConfigurationError

T = TypeVar("T")

# The event loop keeps only weak references to its tasks.
_running: set[asyncio.Task[Any]] = set()


def in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that does not have to be awaited. An exception that is never retrieved is dropped silently."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


async def run_to_completion(
    work: Coroutine[Any, Any, T], *, abandoned: Callable[[T], Awaitable[Any]] | None = None
) -> T:
    """Await work that goes on to its end even if the await is cancelled.

    Args:
        work: What to do.
        abandoned: If the await was cancelled, called with the work's result once there is one. What it returns is
            awaited and runs to its end too.

    Raises:
        CancelledError: The await was cancelled; the work goes on.
    """
    task = in_background(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if abandoned is not None:
            in_background(_clean_up(task, abandoned))
        raise


async def _clean_up(task: asyncio.Task[T], abandoned: Callable[[T], Awaitable[Any]]) -> None:
    await abandoned(await task)


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()


async def _answering(answer: asyncio.Future[T], operation: Coroutine[Any, Any, T]) -> None:
    """Run an operation and put its outcome into a future, if that still waits."""
    try:
        result = await operation
        if not answer.done():
            answer.set_result(result)
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        if not answer.done():
            answer.set_exception(error)
    finally:
        # The error's traceback holds this frame.
        del answer


class InFlight:
    """Runs every operation to its end, and knows which are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carry(self, operation: Coroutine[Any, Any, T], ended: Callable[[], None] | None = None) -> T:
        """Await an operation that goes on to its end even if the await is cancelled.

        Args:
            operation: What to do.
            ended: Called at its end, also if it was cancelled before it began.

        Raises:
            CancelledError: The await was cancelled, or the event loop is being shut down.
        """
        # The operation sets the answer itself: `asyncio.shield` would pass it on one turn of the loop later.
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task = in_background(_answering(answer, operation))
        self._tasks.add(task)

        def end(_: object) -> None:
            self._tasks.discard(task)
            # While a loop is shut down, the task may be cancelled before the operation began.
            operation.close()
            answer.cancel()
            if ended is not None:
                ended()

        task.add_done_callback(end)
        return await answer

    async def landed(self) -> None:
        """Wait for the operations under way in this event loop. Those of a loop that has ended are gone."""
        loop = asyncio.get_running_loop()
        running = [task for task in self._tasks if task.get_loop() is loop]
        if running:
            await asyncio.wait(running)


class OneLoop:
    """Knows which event loop a store is used in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_new(self) -> bool:
        """Return whether the running loop comes after another one and has not been `entered` yet.

        Raises:
            ConfigurationError: The other loop is still running.
        """
        if self._loop is None:
            self.entered()
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is not None and self._loop.is_running():
            raise ConfigurationError("the store is in use in another event loop: make one store for each loop")
        return True

    def entered(self) -> None:
        """Note that the store is used in the running loop from now on."""
        self._loop = asyncio.get_running_loop()
