"""A deadline for stores that cannot stop at it: the caller stops waiting, and the operation goes on in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.workers import DaemonWorkers, Work
from cbstore_sql.stores.call import StoreCall

T = TypeVar("T")

_MAX_THREADS = 8
"""The largest number of operations of one store that run (or hang) at the same time.

Each further operation waits in a queue until its deadline."""

_NO_THREAD = "no thread can start"


def timeout_error(call: StoreCall, *, began: bool = True) -> StoreUnavailableError:
    """Make the error for a caller that stopped waiting for a store at the deadline. The function does not raise it.

    Args:
        call: The call of the store for which the caller waited.
        began: Whether the operation may have started.

    Returns:
        The error. Its ``applied`` is ``False`` if the operation had not started or only reads, because then nothing was
        written. Otherwise it is ``None``: whether something was written is unknown.
    """
    unknown = began and not call.operation.startswith("read")
    why = "the store did not answer in time"
    return StoreUnavailableError(why, applied=None if unknown else False, reason=why)


class TimeoutWorkers:
    """A pool of at most 8 threads that run a store's operations, so that callers can stop waiting at a deadline."""

    def __init__(self) -> None:
        self._workers = DaemonWorkers("cbstore-store", _MAX_THREADS)

    def carry_out(self, call: StoreCall, do: Callable[[], T], *, abandoned: Callable[[T], object] | None = None) -> T:
        """Run an operation of the store in a thread, wait until the caller's deadline, and return the answer.

        Args:
            call: What the caller asked of the store. Only the error depends on it.
            do: A function that runs the operation and returns the answer.
            abandoned: A function that receives an answer that arrives after the deadline; the thread calls it. ``None``
                means that the thread drops such an answer.

        Raises:
            StoreUnavailableError: There was no answer by the deadline, or no thread could start. An operation that has
                begun goes on after the deadline.
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
            # This code also runs if the exception of a signal handler ended the wait.
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
        except BaseException:  # noqa: BLE001 - the caller no longer waits for the answer
            return
        abandoned(answer)

    work.when_done(late)
