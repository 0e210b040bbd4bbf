"""The moment by which whoever asks a store wants its answer.

A deadline is ambient: it is set once around everything that shares it (waiting for a connection, opening one, the
statement, its repetitions) and holds in the thread or task that set it, and in the tasks this one starts. Where none
is set, nothing gives up early.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import monotonic
from types import TracebackType

__all__ = ["remaining", "within"]

_deadline: ContextVar[float | None] = ContextVar("cbstore_deadline", default=None)


class within:
    """Set a deadline for a block: ``with within(0.25): store.read("billing")``.

    It does not stop the block: a store that keeps deadlines gives up by itself and raises `StoreUnavailableError`.
    Inside another such block the earlier deadline holds.

    Args:
        seconds: From entering the block, by the steady local clock; ``None`` sets none.
    """

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
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


def remaining() -> float | None:
    """Return the seconds left until the deadline, 0.0 when it is past, or ``None`` where none is set."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - monotonic())
