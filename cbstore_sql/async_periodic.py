"""The asynchronous twin of ``periodic.py``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from cbstore_sql.background import in_background

log = logging.getLogger("cbstore_sql")


class AsyncPeriodic:
    """Does its work in a task, time after time, until it says that it is done; see `Periodic`.

    Args:
        name: What it is called in the log.
        pause: Returns the seconds to wait before the work is done the next time.
        work: Returns whether there is more to do.
    """

    def __init__(self, name: str, pause: Callable[[], float], work: Callable[[], Awaitable[bool]]) -> None:
        self._name = name
        self._pause = pause
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def ensure(self) -> None:
        """See to it that the task runs, in the running event loop."""
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            # In a context of its own: a deadline of whoever called this would end all its work from then on.
            self._task = Context().run(in_background, self._run())

    async def close(self) -> None:
        """End the task."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pause())
            try:
                if not await self._work():
                    return
            except Exception as error:  # noqa: BLE001 - a task of ours has nobody to raise to; the next time may do
                log.error("%s failed with %s", self._name, type(error).__name__)
