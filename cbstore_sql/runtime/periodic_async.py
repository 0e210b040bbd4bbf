"""The asynchronous twin of ``periodic.py``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from weakref import WeakMethod

from cbstore_sql.runtime.tasks import in_background

log = logging.getLogger("cbstore_sql")


class AsyncPeriodic:
    """Does its work in a task, time after time, until it says that it is done; see `Periodic`.

    Args:
        name: What it is called in the log.
        pause: Returns the seconds to wait before the work is done the next time.
        work: A method that returns whether there is more to do; see `Periodic`.
    """

    def __init__(self, name: str, pause: Callable[[], float], work: Callable[[], Awaitable[bool]]) -> None:
        self._name = name
        self._pause = pause
        self._work = WeakMethod(work)
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
        goes_on = True
        while goes_on:
            await asyncio.sleep(self._pause())
            goes_on = await self._goes_on()

    async def _goes_on(self) -> bool:
        work = self._work()
        try:
            return work is not None and await work()
        except Exception as error:  # noqa: BLE001 - a task of ours has nobody to raise to; the next time may do
            log.error("%s failed with %s", self._name, type(error).__name__)
            return True
