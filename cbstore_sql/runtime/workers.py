"""Daemon threads for work that may hang: a caller can stop waiting, and the work goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from cbstore_sql.runtime.fork import ForkSafeLock

T = TypeVar("T")

_IDLE_SECONDS = 10.0
"""Seconds after which a thread without work ends."""


class Work(Generic[T]):
    """One call of a function in a thread, with its outcome.

    The function sees the context variables (`contextvars`) of the code that made this object.

    Args:
        function: The function to call. It has no parameters.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._context = copy_context()
        self._taken = threading.Lock()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Work[T]], object]] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Call the function and keep its outcome for `result`. If the work was cancelled, do nothing.

        This method does not raise the exception of the function; `result` does.
        """
        if not self._taken.acquire(blocking=False):
            return
        try:
            self._result = self._context.run(self._function)
        except BaseException as error:  # noqa: BLE001 - `result` raises the error
            self._error = error
        with self._lock:
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def cancel(self) -> bool:
        """Prevent the call of the function, if the call has not begun.

        Returns:
            ``True`` if the function will not be called. ``False`` if the call has begun or has ended, or if an earlier
            call of this method cancelled the work.
        """
        return self._taken.acquire(blocking=False)

    def wait(self, seconds: float | None) -> bool:
        """Block until the function has ended or a time has passed.

        Args:
            seconds: The longest wait in seconds; ``None`` means no limit.

        Returns:
            ``True`` if the function has ended, ``False`` if the time has passed first.
        """
        return self._done.wait(seconds)

    def result(self) -> T:
        """Return what the function returned, or raise the exception that the function raised.

        Call this method only after the work has ended, for example in a callback of `when_done`.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def when_done(self, callback: Callable[[Work[T]], object]) -> None:
        """Register a function to call when the work has ended.

        Args:
            callback: A function whose argument is this object. The thread that does the work calls ``callback``. If the
                work has already ended, this method calls ``callback`` at once.
        """
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback(self)


class DaemonWorkers(ForkSafeLock):
    """A pool of daemon threads that call submitted functions.

    A thread starts when work arrives and no thread is free. A thread ends after 10 seconds without work. If all threads
    are busy, the work waits in a queue. No thread of the pool keeps the interpreter from exiting. In a forked process,
    the pool has no threads and an empty queue.

    Args:
        name: The name of the threads.
        limit: The largest number of threads.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._have_lock()

    def _renew_lock(self) -> None:
        super()._renew_lock()
        self._start_empty()

    def _start_empty(self) -> None:
        self._queue: queue.SimpleQueue[Work[object]] = queue.SimpleQueue()
        self._threads = 0
        # The number of threads without work, minus the number of works without a thread.
        self._free = 0

    def submit(self, work: Work[T]) -> None:
        """Put work into the queue of the pool and return at once. The next free thread runs the work.

        Args:
            work: The work to run.

        Raises:
            RuntimeError: The pool has no thread, and no thread can start (because of a limit of the system, or because
                the interpreter is exiting). The work does not run.
        """
        with self._lock:
            if self._free <= 0 and self._threads < self._limit:
                try:
                    self._start_thread()
                except RuntimeError:
                    # A running thread does the work when that thread is free.
                    if self._threads == 0:
                        raise
            self._free -= 1
            self._queue.put(work)  # type: ignore[arg-type] # the threads do not look at results

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True)
        thread.start()
        # The counts grow after the start, so that a thread that could not start does not count.
        self._threads += 1
        self._free += 1

    def _run(self, line: queue.SimpleQueue[Work[object]]) -> None:
        while True:
            try:
                work = line.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                if self._is_over():
                    return
                continue
            work.run()
            # The work must not stay in memory until the next work arrives.
            del work
            with self._lock:
                self._free += 1

    def _is_over(self) -> bool:
        """Return whether an idle thread ends, and remove the thread from the counts if it ends."""
        with self._lock:
            idle = self._free > 0
            if idle:
                self._free -= 1
                self._threads -= 1
            return idle
