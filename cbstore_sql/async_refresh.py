"""Keeps a view fresh: one batched read for all breakers in use, in a task, never in a caller's path."""

from __future__ import annotations

import asyncio
import logging

from cbstore_sql.async_store import AsyncStore
from cbstore_sql.background import in_background
from cbstore_sql.view import View

log = logging.getLogger("cbstore_sql")


class AsyncRefresher:
    """Reads the breakers of a view again and again while they are in use; see `Refresher`.

    Args:
        view: What to keep fresh.
        store: Where to read.
    """

    def __init__(self, view: View, store: AsyncStore) -> None:
        self._view = view
        self._store = store
        self._task: asyncio.Task[None] | None = None

    def ensure(self) -> None:
        """See to it that the task runs, in the running event loop."""
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._task = in_background(self._run())

    async def close(self) -> None:
        """End the task."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._view.period)
            names = self._view.in_use()
            if not names:
                return
            try:
                asked_at = self._view.clock()
                self._view.take(await self._store.read_many(names), asked_at)
            except Exception as error:  # noqa: BLE001 - what is not refreshed goes stale, and the calls ask for themselves
                log.debug("the view was not refreshed: %s", type(error).__name__)
