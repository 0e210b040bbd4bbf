"""The asynchronous form of `cbstore_sql.runtime.periodic`: work that a task repeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from time import monotonic
from weakref import WeakMethod

from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.runtime.tasks import in_background

log = logging.getLogger("cbstore_sql")


class AsyncPeriodic:
    """Calls a method again and again in a task, until it returns ``False``; see `Periodic`.

    A task ends with its event loop. The moment of the next call does not: a task in another loop goes on with the
    same wait, so that the work is also done where every job has its own loop (``asyncio.run`` for each).

    Args:
        name: The name of the work in log lines.
        pause: Returns the seconds to wait before the next call.
        work: See `Periodic`; awaited.
        clock: Returns seconds of a steady clock.
    """

    def __init__(
        self,
        name: str,
        pause: Callable[[], float],
        work: Callable[[], Awaitable[bool]],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._name = name
        self._pause = pause
        self._work = WeakMethod(work)
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._due: float | None = None

    def ensure(self) -> None:
        """Start the task in the running event loop unless it is running there. Outside of a loop nothing happens."""
        if asyncio._get_running_loop() is not None and not self._runs_here():
            if self._due is None:
                self._due = self._clock() + self._pause()
            # In an empty context: a deadline around this call would end all later work of the task.
            self._task = Context().run(in_background, self._run())

    def take_overdue(self) -> bool:
        """Return whether the caller should do the work itself, in place of a task that never gets to do it.

        That is so where event loops end before their task's turn has come: the call is due, and the task that should
        have made it is gone with its loop. Of several callers one gets this answer; the next call is due after a pause.
        """
        due = self._due
        if due is None or self._task is None or self._clock() < due or self._runs_here():
            return False
        self._due = self._clock() + self._pause()
        return True

    async def close(self) -> None:
        """End the task. A task of another event loop is left to that loop."""
        task = self._task
        if task is not None and self._runs_here():
            task.cancel()
            await asyncio.wait([task])

    def _runs_here(self) -> bool:
        task = self._task
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    async def _run(self) -> None:
        goes_on = True
        while goes_on:
            if self._due is None:
                self._due = self._clock() + self._pause()
            await asyncio.sleep(max(0.0, self._due - self._clock()))
            goes_on = await self._goes_on()
            # Not before: if the loop ends during the call, it is still due.
            self._due = None

    async def _goes_on(self) -> bool:
        work = self._work()
        try:
            return work is not None and await work()
        except Exception as error:
            if from_signal_handler(error):
                raise
            log.error("%s failed with %s", self._name, type(error).__name__)
            return True
