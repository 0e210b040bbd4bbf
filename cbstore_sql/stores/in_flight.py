"""The operations of an asynchronous store that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cbstore_sql.background import in_background

T = TypeVar("T")


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
