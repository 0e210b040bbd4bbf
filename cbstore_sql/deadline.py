"""The moment by which a caller wants a store's answer.

A deadline is ambient: it is set once around everything that shares it (waiting for a connection, opening it, the
statement, its repetitions). It holds in the thread or task that set it and in the tasks that this one starts. Without a
deadline nothing gives up early.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import monotonic
from types import TracebackType

from cbstore_sql.errors import InvalidArgumentError, InvalidPolicyError

__all__ = ["paused", "remaining", "within"]

_deadline: ContextVar[float | None] = ContextVar("cbstore_deadline", default=None)


class within:
    """Set a deadline for a block: ``with within(0.25): store.read("billing")``.

    It does not stop the block: a store that keeps deadlines gives up by itself and raises `StoreUnavailableError`.
    Inside another such block the earlier deadline holds.

    Args:
        seconds: Seconds from entering the block, at least 0, by the steady local clock. ``None`` sets no deadline.

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
    """Stop the clock of the deadline for a block, which does not belong to the store: a listener's, for example.

    The deadline moves by the time that the block took. Without a deadline nothing happens.
    """

    __slots__ = ("_began",)

    def __enter__(self) -> None:
        self._began: float | None = None if _deadline.get() is None else monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        deadline = _deadline.get()
        if self._began is not None and deadline is not None:
            _deadline.set(deadline + monotonic() - self._began)


def remaining() -> float | None:
    """Return the seconds left until the deadline, 0.0 when it is past, or ``None`` without one."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - monotonic())
