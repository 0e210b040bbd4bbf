"""Work that a background thread repeats, so that no caller has to wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from weakref import WeakMethod

from cbstore_sql.runtime.fork import ForkSafeLock

log = logging.getLogger("cbstore_sql")

_CLOSING_SECONDS = 5.0


class Periodic(ForkSafeLock):
    """Calls a method again and again in a thread, until it returns ``False``. `ensure` starts it again.

    Args:
        name: The thread's name.
        pause: Returns the seconds to wait before the next call.
        work: A method that returns whether to go on. Its object is not kept alive: once it is gone, the thread ends.
    """

    def __init__(self, name: str, pause: Callable[[], float], work: Callable[[], bool]) -> None:
        self._name = name
        self._pause = pause
        self._work = WeakMethod(work)
        self._have_lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def ensure(self) -> None:
        """Start the thread unless it is running. In a forked process it is not.

        Where no thread can start, nothing happens: the caller's own work must not fail for that. The next call tries
        again.
        """
        thread = self._thread
        if (thread is not None and thread.is_alive()) or not self._lock.acquire(blocking=False):
            return
        try:
            stopped = threading.Event()
            thread = threading.Thread(target=self._run, args=(stopped,), name=self._name, daemon=True)
            self._stopped = stopped
            thread.start()
            # Only now: a thread that has not started cannot be joined.
            self._thread = thread
        except RuntimeError as error:
            log.debug("%s did not start: %s", self._name, type(error).__name__)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the thread and wait for the call it is in, at most some seconds."""
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSING_SECONDS)

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._pause()) and self._goes_on():
            pass

    def _goes_on(self) -> bool:
        work = self._work()
        try:
            return work is not None and work()
        except Exception as error:  # noqa: BLE001 - no caller could catch it in this thread; the next call may succeed
            log.error("%s failed with %s", self._name, type(error).__name__)
            return True
