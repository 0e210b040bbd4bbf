"""Daemon threads for work that may hang: its caller stops waiting when it wants to, and the work goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from cbstore_sql.runtime.fork import ForkSafeLock

T = TypeVar("T")

_IDLE_SECONDS = 10.0
"""A thread without work ends after this time."""


class Work(Generic[T]):
    """One function to call in a thread, and its outcome.

    It runs in a copy of the context (`contextvars`) in which this object was made.
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
        """Call the function, unless the work was cancelled. What it raises is kept for `result`."""
        if not self._taken.acquire(blocking=False):
            return
        try:
            self._result = self._context.run(self._function)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            self._error = error
        with self._lock:
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def cancel(self) -> bool:
        """Keep the work from being started; return whether that was possible."""
        return self._taken.acquire(blocking=False)

    def wait(self, seconds: float | None) -> bool:
        """Wait for the end of the work, at most some seconds; return whether it ended. ``None``: no limit."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """Return what the function returned, or raise what it raised, once the work has ended."""
        if self._error is not None:
            raise self._error
        return self._result

    def when_done(self, callback: Callable[[Work[T]], object]) -> None:
        """Call a function with this object when the work has ended: in its thread, or at once if it has ended."""
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback(self)


class DaemonWorkers(ForkSafeLock):
    """Up to a number of threads that do one piece of work after the other.

    Threads start when they are needed and end when they are idle. Work that finds all of them busy waits in a queue.
    No thread keeps the interpreter from exiting. A forked process starts without threads and with an empty queue.

    Args:
        name: The threads' name.
        limit: How many threads there may be.
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
        # Threads without work, minus pieces of work without a thread.
        self._free = 0

    def submit(self, work: Work[T]) -> None:
        """Have work done in a thread, as soon as one is free.

        Raises:
            RuntimeError: No thread can start (a limit of the system, or the interpreter is exiting) and none is
                running. The work is not done.
        """
        with self._lock:
            if self._free <= 0 and self._threads < self._limit:
                try:
                    self._start_thread()
                except RuntimeError:
                    # One of those that run takes it when it is free.
                    if self._threads == 0:
                        raise
            self._free -= 1
            self._queue.put(work)  # type: ignore[arg-type] # the threads do not look at results

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True)
        thread.start()
        # Only now: a thread that did not start must not take the place of one that can.
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
            # Not kept alive until the next one comes.
            del work
            with self._lock:
                self._free += 1

    def _is_over(self) -> bool:
        with self._lock:
            idle = self._free > 0
            if idle:
                self._free -= 1
                self._threads -= 1
            return idle
