"""What each caller was told when it asked, for callers who ask and record in separate calls.

A caller is a context (`contextvars`): a thread is one, an asyncio task is one. What it starts begins with a copy:
a task, or a function in `asyncio.to_thread`, may record what its creator asked for. The other way round nothing is
handed back, and a permit must be carried along by hand.
"""

from __future__ import annotations

from contextvars import ContextVar
from weakref import WeakKeyDictionary

from cbstore_sql.core.model import Permit

# Contexts hold on to their variables for ever, so there is one for all breakers. The value is never changed, only
# replaced: callers started from this one share it.
_permits: ContextVar[WeakKeyDictionary[Callers, Permit]] = ContextVar("cbstore_sql permits")


class Callers:
    """The permits one breaker gave, each seen only by the caller it was given to."""

    @property
    def permit(self) -> Permit | None:
        """The present caller's permit; ``None`` when it has not asked, was refused, or has recorded."""
        return _permits.get(WeakKeyDictionary()).get(self)

    def remember(self, permit: Permit) -> None:
        """Keep the present caller's permit until it records."""
        self._replace(permit)

    def forget(self) -> None:
        """Forget the present caller's permit."""
        if self.permit is not None:
            self._replace(None)

    def _replace(self, permit: Permit | None) -> None:
        permits = WeakKeyDictionary(_permits.get(WeakKeyDictionary()))
        permits.pop(self, None)
        if permit is not None:
            permits[self] = permit
        _permits.set(permits)
