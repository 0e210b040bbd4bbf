"""The listeners of a breaker in an event loop: a task awaits what a listener returns."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterable
from typing import Any

from cbstore_sql.breaker.notifier import Notifier, log_failed_listener
from cbstore_sql.events import BreakerEvent, Listener
from cbstore_sql.runtime.tasks import in_background


class AsyncNotifier(Notifier):
    """Call the listeners of one asynchronous breaker with each event. Listeners may be coroutine functions.

    A coroutine runs in a task of the running event loop, so that a slow listener delays neither the guarded call nor
    the store. Coroutines start in the order of their events.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        super().__init__(listeners)
        self._tasks: set[asyncio.Task[None]] = set()

    async def drain(self) -> None:
        """Wait until the coroutines of listeners that run in this event loop have ended."""
        loop = asyncio.get_running_loop()
        running = [task for task in self._tasks if task.get_loop() is loop]
        if running:
            await asyncio.wait(running)

    def _take(self, result: Any, event: BreakerEvent) -> None:
        """Handle the result of a listener: start a task that awaits the result, if it is awaitable.

        Args:
            result: What the listener returned.
            event: The event that the listener received.
        """
        if not inspect.isawaitable(result):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # the event was caused outside of an event loop
            super()._take(result, event)
            return
        task = in_background(_finish(result, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _finish(result: Awaitable[Any], event: BreakerEvent) -> None:
    try:
        await result
    except Exception as error:  # noqa: BLE001 - whatever a listener raises, the guarded call goes on
        log_failed_listener(event, error)
