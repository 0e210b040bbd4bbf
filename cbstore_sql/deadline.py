"""The moment by which a caller wants a store's answer.

A deadline is ambient: a caller sets it once around everything that shares the deadline (the wait for a connection, the
opening of the connection, the statement and its repetitions). The deadline holds in the thread or task that set it and
in the tasks that this thread or task starts. Without a deadline no operation gives up early.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import monotonic
from types import TracebackType

from cbstore_sql.errors import InvalidArgumentError, InvalidPolicyError

__all__ = ["paused", "remaining", "within"]

_deadline: ContextVar[float | None] = ContextVar("cbstore_deadline", default=None)


class within:
    """Set a deadline for the store operations in a block: ``with within(0.25): store.read("billing")``.

    The deadline does not stop the block. A store that keeps deadlines stops waiting at the deadline and raises
    `StoreUnavailableError`. If blocks are nested, the earlier deadline holds. The deadline also holds in tasks that the
    block starts.

    Args:
        seconds: Seconds from the start of the block, at least 0. A change of the machine's clock has no effect on them.
            ``None`` sets no deadline.

    Raises:
        InvalidArgumentError: ``seconds`` is not a number.
        InvalidPolicyError: ``seconds`` is negative or NaN.
    """

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None:
            if not isinstance(seconds, (int, float)):
                raise InvalidArgumentError(f"within takes seconds as a number or None, got {type(seconds).__name__}")
            if not seconds >= 0:  # NaN too
                raise InvalidPolicyError(f"within takes seconds from 0, got {seconds!r}")
        self._seconds = seconds

    def __enter__(self) -> None:
        outer = _deadline.get()
        if self._seconds is None:
            own = outer
        else:
            own = monotonic() + self._seconds
            own = own if outer is None or own < outer else outer
        self._token: Token[float | None] = _deadline.set(own)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _deadline.reset(self._token)


class paused:
    """Do not count the time of a block towards the deadline: ``with paused(): listener(event)``.

    At the end of the block, the deadline that `within` set moves by the duration of the block. Use this for work that
    does not belong to the store. Without a deadline, this does nothing.
    """

    __slots__ = ("_began",)

    def __enter__(self) -> None:
        self._began: float | None = None if _deadline.get() is None else monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        deadline = _deadline.get()
        if self._began is not None and deadline is not None:
            _deadline.set(deadline + monotonic() - self._began)


def remaining() -> float | None:
    """Return how many seconds are left until the deadline that `within` set.

    Returns:
        Seconds; 0.0 if the deadline has passed. ``None`` if there is no deadline.
    """
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - monotonic())
