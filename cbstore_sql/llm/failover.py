"""What a router does after a failure, without I/O: whether another target may help, and what to tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from cbstore_sql.events import BreakerEvent
from cbstore_sql.llm.classification.form import FailureCategory
from cbstore_sql.llm.decision import Decision
from cbstore_sql.llm.targets import LLMTarget
from cbstore_sql.runtime.fork import ForkSafeLock

_MOST_CONVERSATIONS = 10_000
"""Sticky keys that a router remembers; the one unused for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class FailedOver(BreakerEvent):
    """Calls of this process go to another target now, on the way out or on the way back.

    Attributes:
        name: The breaker's name of the target that is used now.
        previous: The name of the target that was used before.
        category: The failure that caused it; ``None`` when the previous target was rejected or a better one is back.
    """

    previous: str
    category: FailureCategory | None


OnFailover = Callable[[FailedOver], object]


def another_may_help(decision: Decision) -> bool:
    """Return whether another target may answer what this one did not."""
    if decision.failure is None:
        return False
    return decision.failure.category is not FailureCategory.INVALID_REQUEST


def takes_out_key(decision: Decision) -> bool:
    """Return whether the key is to blame, for every model it is used with."""
    return decision.failure is not None and decision.failure.category is FailureCategory.AUTH


class Memory(ForkSafeLock):
    """What one router remembers: the target that was used last, and the target of each conversation."""

    def __init__(self) -> None:
        self._last: str | None = None
        self._conversations: OrderedDict[Hashable, str] = OrderedDict()
        self._have_lock()

    def target_of(self, conversation: Hashable) -> str | None:
        """Return the name of the target that a conversation sticks to."""
        if conversation is None:
            return None
        with self._lock:
            return self._conversations.get(conversation)

    def used(self, target: LLMTarget, conversation: Hashable, failed: str | None) -> str | None:
        """Note that a target is used now.

        Args:
            target: The target.
            conversation: The key of the conversation; ``None`` for a call that does not stick.
            failed: The name of the target that failed in this call.

        Returns:
            The name of the target that was used before, when that is another one.
        """
        with self._lock:
            if conversation is not None:
                previous = failed or self._conversations.pop(conversation, None)
                self._conversations[conversation] = target.name
                if len(self._conversations) > _MOST_CONVERSATIONS:
                    self._conversations.popitem(last=False)
            else:
                previous, self._last = failed or self._last, target.name
        return previous if previous != target.name else None
