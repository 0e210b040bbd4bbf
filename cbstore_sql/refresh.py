"""Keeps a view fresh: one batched read for all breakers in use, in a thread, never in a caller's path."""

from __future__ import annotations

import logging
import threading

from cbstore_sql.store import Store
from cbstore_sql.view import View

log = logging.getLogger("cbstore_sql")


class Refresher:
    """Reads the breakers of a view again and again while they are in use.

    Its thread starts with the first call that asked the store, and ends when no breaker is in use any more.

    Args:
        view: What to keep fresh.
        store: Where to read.
    """

    def __init__(self, view: View, store: Store) -> None:
        self._view = view
        self._store = store
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def ensure(self) -> None:
        """See to it that the thread runs; in a forked process the parent's does not."""
        thread = self._thread
        if (thread is not None and thread.is_alive()) or not self._starting.acquire(blocking=False):
            return
        try:
            self._stopped = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="cbstore-view", daemon=True)
            self._thread.start()
        finally:
            self._starting.release()

    def close(self) -> None:
        """End the thread and wait for the read it may be at."""
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._view.period):
            names = self._view.in_use()
            if not names:
                return
            try:
                asked_at = self._view.clock()
                self._view.take(self._store.read_many(names), asked_at)
            except Exception as error:  # noqa: BLE001 - what is not refreshed goes stale, and the calls ask for themselves
                log.debug("the view was not refreshed: %s", type(error).__name__)
