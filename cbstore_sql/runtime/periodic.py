"""Work that is done again and again in the background, never in a caller's path."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from weakref import WeakMethod

from cbstore_sql.runtime.fork import ForkSafeLock

log = logging.getLogger("cbstore_sql")


class Periodic(ForkSafeLock):
    """Does its work in a thread, time after time, until it says that it is done; it can begin again then.

    Args:
        name: The thread's.
        pause: Returns the seconds to wait before the work is done the next time.
        work: A method that returns whether there is more to do. Its object is not kept alive: nobody else has it any
            more, the work is done.
    """

    def __init__(self, name: str, pause: Callable[[], float], work: Callable[[], bool]) -> None:
        self._name = name
        self._pause = pause
        self._work = WeakMethod(work)
        self._have_lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def ensure(self) -> None:
        """See to it that the thread runs; in a forked process the parent's does not."""
        thread = self._thread
        if (thread is not None and thread.is_alive()) or not self._lock.acquire(blocking=False):
            return
        try:
            self._stopped = threading.Event()
            thread = threading.Thread(target=self._run, args=(self._stopped,), name=self._name, daemon=True)
            thread.start()
            # Not before: a thread that has not started cannot be waited for.
            self._thread = thread
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the thread and wait for the work it may be at."""
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._pause()) and self._goes_on():
            pass

    def _goes_on(self) -> bool:
        work = self._work()
        try:
            return work is not None and work()
        except Exception as error:  # noqa: BLE001 - a thread of ours has nobody to raise to; the next time may do
            log.error("%s failed with %s", self._name, type(error).__name__)
            return True
