"""Work that a background thread repeats, so that no caller has to wait for the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from weakref import WeakMethod

from cbstore_sql.runtime.fork import ForkSafeLock

log = logging.getLogger("cbstore_sql")

_CLOSING_SECONDS = 5.0


class Periodic(ForkSafeLock):
    """Call a method repeatedly in a background thread, until the method returns ``False``.

    `ensure` starts the thread. If the thread has ended, `ensure` starts a new thread. If the method raises an
    exception, the error is logged and the thread goes on.

    Args:
        name: The thread's name.
        pause: A function that returns the seconds to wait before the next call.
        work: The bound method to call. It returns whether the thread goes on. This object holds only a weak reference
            to the object of the method. When that object is gone, the thread ends.
    """

    def __init__(self, name: str, pause: Callable[[], float], work: Callable[[], bool]) -> None:
        self._name = name
        self._pause = pause
        self._work = WeakMethod(work)
        self._have_lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def ensure(self) -> None:
        """Start the thread if it is not running.

        Call this method again after a fork, because a forked process has no threads. If the system cannot start a
        thread, this method does nothing, because the caller's work must not fail for this reason. The next call of this
        method tries again.
        """
        thread = self._thread
        if (thread is not None and thread.is_alive()) or not self._lock.acquire(blocking=False):
            return
        try:
            stopped = threading.Event()
            thread = threading.Thread(target=self._run, args=(stopped,), name=self._name, daemon=True)
            self._stopped = stopped
            thread.start()
            # This assignment follows the start, because a thread that has not started cannot be joined.
            self._thread = thread
        except RuntimeError as error:
            log.debug("%s did not start: %s", self._name, type(error).__name__)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Stop the repetition, and wait at most 5 seconds for the thread to end."""
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
