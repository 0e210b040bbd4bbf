"""The operations of an asynchronous store that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from cbstore_sql.background import in_background

T = TypeVar("T")


class InFlight:
    """Carries every operation once begun through to its end, and knows when the last one is there."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carry(self, operation: Coroutine[Any, Any, T]) -> T:
        """Await an operation that goes on to its end even if the await is cancelled.

        Raises:
            CancelledError: The await was cancelled, or the event loop is being shut down.
        """
        task = in_background(operation)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def landed(self) -> None:
        """Wait for the operations under way in this event loop; a loop that has ended took its own along."""
        loop = asyncio.get_running_loop()
        running = [task for task in self._tasks if task.get_loop() is loop]
        if running:
            await asyncio.wait(running)
