"""Tasks that go on if the await that started them is cancelled, and the event loop in which a store is used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cbstore_sql.errors import ConfigurationError

T = TypeVar("T")

# The event loop keeps only weak references to its tasks.
_running: set[asyncio.Task[Any]] = set()


def in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that the caller does not have to await.

    If the task raises an exception and no caller awaits the task, asyncio does not log the exception.

    Args:
        work: The coroutine to run.
    """
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


async def run_to_completion(
    work: Coroutine[Any, Any, T], *, abandoned: Callable[[T], Awaitable[Any]] | None = None
) -> T:
    """Await a coroutine that runs to its end even if this await is cancelled.

    Args:
        work: The coroutine to run.
        abandoned: A function that is called with the result of ``work`` when ``work`` has ended, if the await was
            cancelled. The awaitable that the function returns also runs to its end. ``None`` drops the result.

    Raises:
        CancelledError: The await was cancelled; ``work`` goes on.
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
    """Run an operation and put the outcome into a future, if the future is still waiting.

    Args:
        answer: The future.
        operation: The operation.
    """
    try:
        result = await operation
        if not answer.done():
            answer.set_result(result)
    except Exception as error:  # noqa: BLE001 - the await of the answer raises the error
        if not answer.done():
            answer.set_exception(error)
    finally:
        # The error's traceback refers to this frame, and `answer` to the error: a cycle.
        del answer


class InFlight:
    """A collection of the operations that are running. A cancelled caller does not stop an operation."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carry(self, operation: Coroutine[Any, Any, T], ended: Callable[[], None] | None = None) -> T:
        """Await an operation that runs to its end even if this await is cancelled, and return the operation's result.

        Args:
            operation: The operation.
            ended: A function that is called when the operation has ended, also if the operation was cancelled before it
                began. ``None`` means that no function is called.

        Raises:
            CancelledError: The await was cancelled, or the event loop is being shut down.
        """
        # The operation sets the answer. `asyncio.shield` would set the answer one turn of the event loop later.
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task = in_background(_answering(answer, operation))
        self._tasks.add(task)

        def end(_: object) -> None:
            self._tasks.discard(task)
            # When an event loop shuts down, the loop may cancel the task before the operation began.
            operation.close()
            answer.cancel()
            if ended is not None:
                ended()

        task.add_done_callback(end)
        return await answer

    async def landed(self) -> None:
        """Wait until all operations of this collection that run in the running event loop have ended.

        The operations of an event loop that has ended do not run any more, so this method does not wait for them.
        """
        loop = asyncio.get_running_loop()
        running = [task for task in self._tasks if task.get_loop() is loop]
        if running:
            await asyncio.wait(running)


class OneLoop:
    """A record of the event loop in which a store is used."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_new(self) -> bool:
        """Return whether the running event loop is a later loop than the recorded loop.

        If there is no recorded loop, this method records the running loop and returns ``False``.

        Raises:
            ConfigurationError: The recorded loop is another loop and is still running.
        """
        if self._loop is None:
            self.entered()
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is not None and self._loop.is_running():
            raise ConfigurationError("the store is in use in another event loop: make one store for each loop")
        return True

    def entered(self) -> None:
        """Record the running event loop as the loop in which the store is used."""
        self._loop = asyncio.get_running_loop()
