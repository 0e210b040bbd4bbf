"""A deadline for stores that keep none: the caller stops waiting, and what it waited for goes on in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.stores.call import StoreCall

T = TypeVar("T")

# As many operations of one store may hang; what comes after them waits in line.
_MOST_THREADS = 8

# Seconds after which a thread without work ends.
_IDLE = 10.0


def timeout_error(ask: StoreCall, *, began: bool = True) -> StoreUnavailableError:
    """Return the error of a caller that stopped waiting for an operation."""
    unknown = began and not ask.operation.startswith("read")
    return StoreUnavailableError("the store did not answer in time", applied=None if unknown else False)


class _Work:
    """One operation and its outcome."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do
        self._context = copy_context()
        self._taken = threading.Lock()
        self._done = threading.Event()
        self._answer: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it, unless nobody waits for it any more."""
        if not self._taken.acquire(blocking=False):
            return
        try:
            self._answer = self._context.run(self._do)
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
            self._error = error
        self._done.set()

    def answer(self, ask: StoreCall) -> Any:
        """Return the answer, or raise the error, or give up at the deadline."""
        if not self._done.wait(remaining()):
            raise timeout_error(ask, began=not self._taken.acquire(blocking=False))
        if self._error is not None:
            raise self._error
        return self._answer


class TimeoutWorkers:
    """Threads in which the operations of one store are carried out while their callers wait until the deadline."""

    def __init__(self) -> None:
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def carry_out(self, ask: StoreCall, do: Callable[[], T]) -> T:
        """Do what is asked and return the answer.

        Raises:
            StoreUnavailableError: There was no answer by the deadline; what was begun goes on.
        """
        work = _Work(do)
        self._queue.put(work)
        with self._lock:
            self._free -= 1
            if self._free < 0 and self._threads < _MOST_THREADS:
                self._free += 1
                self._threads += 1
                threading.Thread(target=self._run, args=(self._queue,), name="cbstore-store", daemon=True).start()
        answer: T = work.answer(ask)
        return answer

    def _reset_after_fork(self) -> None:
        """Begin without threads, in a process just forked: those of the parent are not here."""
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._threads = 0
        # Threads without work, less the work that waits for one.
        self._free = 0

    def _run(self, line: queue.SimpleQueue[_Work]) -> None:
        while True:
            try:
                line.get(timeout=_IDLE).run()
            except queue.Empty:
                if self._ends():
                    return
                continue
            with self._lock:
                self._free += 1

    def _ends(self) -> bool:
        with self._lock:
            idle = self._free > 0
            if idle:
                self._free -= 1
                self._threads -= 1
            return idle
