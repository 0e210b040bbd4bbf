"""Tasks that outlive the await that started them, and the one event loop that a store may be used in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cbstore_sql.errors import ConfigurationError

T = TypeVar("T")

# The event loop keeps only weak references to its tasks.
_running: set[asyncio.Task[Any]] = set()


def in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start work that nobody has to await; what it raises unheard is dropped."""
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
        abandoned: When the await was cancelled, called with the work's result once it is there; its own awaitable
            is carried through as well.

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
    """Carry out an operation and say how it went, if anybody still waits for it."""
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
    """Carries every operation once begun through to its end, and knows when the last one is there."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carry(self, operation: Coroutine[Any, Any, T], ended: Callable[[], None] | None = None) -> T:
        """Await an operation that goes on to its end even if the await is cancelled.

        Args:
            operation: What to do.
            ended: Called at its end, also where it was cancelled before it began.

        Raises:
            CancelledError: The await was cancelled, or the event loop is being shut down.
        """
        # The operation answers by itself: `asyncio.shield` would hear of its end a turn of the loop later.
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task = in_background(_answering(answer, operation))
        self._tasks.add(task)

        def end(_: object) -> None:
            self._tasks.discard(task)
            # Of a loop that is shut down, it may have been cancelled before it began.
            operation.close()
            answer.cancel()
            if ended is not None:
                ended()

        task.add_done_callback(end)
        return await answer

    async def landed(self) -> None:
        """Wait for the operations under way in this event loop; a loop that has ended took its own along."""
        loop = asyncio.get_running_loop()
        running = [task for task in self._tasks if task.get_loop() is loop]
        if running:
            await asyncio.wait(running)


class OneLoop:
    """Knows which event loop a store is used in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_new(self) -> bool:
        """Whether the running loop comes after another one, and is still to be `entered`.

        Raises:
            ConfigurationError: The other one still runs.
        """
        if self._loop is None:
            self.entered()
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is not None and self._loop.is_running():
            raise ConfigurationError("the store is in use in another event loop: make one for each")
        return True

    def entered(self) -> None:
        """Note that the running loop is the one."""
        self._loop = asyncio.get_running_loop()
