"""A deadline for stores that keep none: the caller stops waiting, and the operation goes on in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.workers import DaemonWorkers, Work
from cbstore_sql.stores.call import StoreCall

T = TypeVar("T")

_MAX_THREADS = 8
"""How many operations of one store may hang. The next ones wait in a queue, each until its deadline."""

_NO_THREAD = "no thread can start"


def timeout_error(call: StoreCall, *, began: bool = True) -> StoreUnavailableError:
    """Return the error for a caller that stopped waiting.

    Args:
        call: What the caller waited for.
        began: Whether the operation may have been started.
    """
    unknown = began and not call.operation.startswith("read")
    why = "the store did not answer in time"
    return StoreUnavailableError(why, applied=None if unknown else False, reason=why)


class TimeoutWorkers:
    """Threads in which the operations of one store run while their callers wait until the deadline."""

    def __init__(self) -> None:
        self._workers = DaemonWorkers("cbstore-store", _MAX_THREADS)

    def carry_out(self, call: StoreCall, do: Callable[[], T], *, abandoned: Callable[[T], object] | None = None) -> T:
        """Run an operation and return its answer.

        Args:
            call: What the operation is, for the error.
            do: The operation.
            abandoned: Called in the thread with an answer that comes after the deadline. ``None`` drops it.

        Raises:
            StoreUnavailableError: There was no answer by the deadline, and an operation that has begun goes on; or no
                thread could start.
        """
        work = Work(do)
        try:
            self._workers.submit(work)
        except RuntimeError as error:
            raise StoreUnavailableError(_NO_THREAD, applied=False, reason=f"{_NO_THREAD}: RuntimeError") from error
        in_time = False
        try:
            in_time = work.wait(remaining())
        finally:
            # Also if a signal handler's exception ended the wait.
            began = in_time or not work.cancel()
            if began and not in_time and abandoned is not None:
                _pass_on(work, abandoned)
        if not in_time:
            raise timeout_error(call, began=began)
        return work.result()


def _pass_on(work: Work[T], abandoned: Callable[[T], object]) -> None:
    def late(done: Work[T]) -> None:
        try:
            answer = done.result()
        except BaseException:  # noqa: BLE001 - its caller has gone on without it
            return
        abandoned(answer)

    work.when_done(late)
