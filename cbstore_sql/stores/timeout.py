"""A deadline for stores that do not keep deadlines: the caller stops waiting, and the operation goes on in a thread."""

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
    """Return the error for a caller that stopped waiting at the deadline.

    Args:
        call: The call that the caller waited for.
        began: Whether the operation may have started. If the operation has not started, or is a read, the error's
            ``applied`` is ``False``. Otherwise ``applied`` is ``None``, which means unknown.
    """
    unknown = began and not call.operation.startswith("read")
    why = "the store did not answer in time"
    return StoreUnavailableError(why, applied=None if unknown else False, reason=why)


class TimeoutWorkers:
    """A pool of at most 8 threads that run the operations of one store while callers wait until their deadlines."""

    def __init__(self) -> None:
        self._workers = DaemonWorkers("cbstore-store", _MAX_THREADS)

    def carry_out(self, call: StoreCall, do: Callable[[], T], *, abandoned: Callable[[T], object] | None = None) -> T:
        """Run an operation in a thread and return the operation's answer.

        Args:
            call: The description of the call, from which the error message is made.
            do: A function that runs the operation.
            abandoned: A function that the thread calls with an answer that arrives after the deadline. ``None`` means
                that the thread drops such an answer.

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
