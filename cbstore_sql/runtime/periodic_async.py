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
    """Await a coroutine method repeatedly in a background task, until the method returns ``False``.

    A task ends with its event loop, but this object remembers when the next call is due. A task in another event loop
    waits until the same moment. So the work is also done if every job has a separate event loop (``asyncio.run`` for
    each job). If the method raises an exception, the error is logged and the task goes on.

    Args:
        name: The name of the work in log lines.
        pause: A function that returns the seconds to wait before the next call.
        work: The bound coroutine method to await. It returns whether the task goes on. This object holds only a weak
            reference to the object of the method. When that object is gone, the task ends.
        clock: A function that returns seconds. Only differences between them matter.
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
        """Start the task in the running event loop, unless the task already runs there.

        Without a running event loop, do nothing.
        """
        if asyncio._get_running_loop() is not None and not self._runs_here():
            if self._due is None:
                self._due = self._clock() + self._pause()
            # The task runs in an empty context, because a deadline around this call would limit all work of the task.
            self._task = Context().run(in_background, self._run())

    def take_overdue(self) -> bool:
        """Return whether the caller must do the work now, because no task is there to do it.

        A task ends with its event loop. If every event loop ends before the next call of the work is due, no task ever
        does the work. If the call is overdue and no task runs in this event loop, one caller gets ``True``. Other
        callers get ``False`` until one more pause has passed.
        """
        due = self._due
        if due is None or self._task is None or self._clock() < due or self._runs_here():
            return False
        self._due = self._clock() + self._pause()
        return True

    async def close(self) -> None:
        """Cancel the task and wait until it has ended. A task in another event loop is not cancelled."""
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
            # This assignment follows the call. If the event loop ends during the call, the call is still due.
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
