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
    """Start an asyncio task and return it. The caller need not await the task or keep a reference to it.

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
    """Await a coroutine that runs to its end even if the caller is cancelled.

    Args:
        work: The coroutine to run.
        abandoned: A function that receives the result of ``work`` if the caller was cancelled, for example to close the
            result. It is called when ``work`` has ended, and its awaitable also runs to its end. ``None`` drops the
            result.

    Returns:
        The result of ``work``.

    Raises:
        CancelledError: The caller was cancelled; ``work`` goes on in the background.
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
    """The operations of a store that are running now, so that `close` can wait for their end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        # For each event loop: the number of operations in the tasks of their callers, and who waits for their end.
        self._own: dict[asyncio.AbstractEventLoop, int] = {}
        self._landing: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}

    async def carry_in_own_task(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation in the caller's task, and return its result. If the caller is cancelled, the operation ends.

        Args:
            operation: The coroutine to run.

        Raises:
            CancelledError: The caller was cancelled, or the event loop is being shut down.
        """
        loop = asyncio.get_running_loop()
        self._own[loop] = self._own.get(loop, 0) + 1
        try:
            return await operation
        finally:
            self._own[loop] -= 1
            if self._own[loop] == 0:
                del self._own[loop]
                if loop in self._landing:
                    self._landing.pop(loop).set_result(None)

    async def carry(self, operation: Coroutine[Any, Any, T], ended: Callable[[], None] | None = None) -> T:
        """Run an operation, and return its result. The operation runs to its end even if the caller is cancelled.

        Args:
            operation: The coroutine to run.
            ended: A function that is called when the operation has ended, also if the operation was cancelled before it
                began. ``None`` means that no function is called.

        Raises:
            CancelledError: The caller was cancelled, or the event loop is being shut down.
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
        """Wait until all operations of the running event loop have ended.

        Operations of other event loops are not waited for.
        """
        loop = asyncio.get_running_loop()
        running: list[asyncio.Future[Any]] = [task for task in self._tasks if task.get_loop() is loop]
        if loop in self._own:
            running.append(self._landing.setdefault(loop, loop.create_future()))
        if running:
            await asyncio.wait(running)


class OneLoop:
    """Remember in which event loop a store is used, and detect its use in a second loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_new(self) -> bool:
        """Return whether the store was used in an event loop before that is no longer running.

        If no event loop is remembered, this method remembers the running loop and returns ``False``.

        Returns:
            ``False`` if the running loop is the remembered loop. ``True`` if the remembered loop is a different loop
            that has stopped.

        Raises:
            ConfigurationError: The remembered loop is a different loop and is still running.
        """
        if self._loop is None:
            self.entered()
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is not None and self._loop.is_running():
            raise ConfigurationError("the store is in use in another event loop: make one store for each loop")
        return True

    def entered(self) -> None:
        """Remember the running event loop as the loop in which the store is used."""
        self._loop = asyncio.get_running_loop()
