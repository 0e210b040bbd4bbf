"""The memory of permits, for callers that admit a call and report its outcome in separate steps.

The permit of a caller is stored in the caller's context (`contextvars`). Each thread and each asyncio task has a
separate context. A new task, or a function in `asyncio.to_thread`, starts with a copy of the context of its creator.
So a task may report the outcome of a call that its creator admitted. The creator does not see a permit that the task
got; in this case, the application must pass the permit explicitly.
"""

from __future__ import annotations

from contextvars import ContextVar
from weakref import WeakKeyDictionary

from cbstore_sql.core.model import Permit

# A context keeps its variables for ever, so all breakers share one variable. The code replaces the dictionary and never
# changes it, because copies of the context share the dictionary.
_permits: ContextVar[WeakKeyDictionary[Callers, Permit]] = ContextVar("cbstore_sql permits")


class Callers:
    """Remember the permits of one breaker, separately for each thread and each asyncio task.

    A permit says that the breaker admitted a call. The report of the outcome needs the permit. Each thread or task sees
    only its own permit and the permit that existed when the task started.
    """

    @property
    def permit(self) -> Permit | None:
        """The permit that the breaker gave to the current thread or asyncio task.

        The value is ``None`` if the breaker has not admitted a call of this thread or task, or if this thread or task
        has already reported the outcome.
        """
        return _permits.get(WeakKeyDictionary()).get(self)

    def remember(self, permit: Permit) -> None:
        """Remember a permit for the current thread or asyncio task, until this thread or task calls `forget`."""
        self._replace(permit)

    def forget(self) -> None:
        """Forget the permit of the current thread or asyncio task. If there is no permit, do nothing."""
        if self.permit is not None:
            self._replace(None)

    def _replace(self, permit: Permit | None) -> None:
        permits = WeakKeyDictionary(_permits.get(WeakKeyDictionary()))
        permits.pop(self, None)
        if permit is not None:
            permits[self] = permit
        _permits.set(permits)
