"""The decisions and the memory of a router for failover between targets. The code does no I/O."""

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
"""How many conversations a router remembers. Beyond this number, the router forgets the least recently used one."""


@dataclass(frozen=True, slots=True)
class FailedOver(BreakerEvent):
    """The event that a router emits when the calls of this process change to a different target.

    This happens after a failure of a target, and when calls return to a more preferred target.

    Attributes:
        name: The breaker's name of the new target.
        previous: The breaker's name of the previous target.
        category: The category of the failure of the previous target. ``None`` if the circuit of the previous target
            rejected the call, or if the calls return to a more preferred target.
    """

    previous: str
    category: FailureCategory | None


OnFailover = Callable[[FailedOver], object]


def another_may_help(decision: Decision) -> bool:
    """Return whether, after one target failed, another target may be able to answer the call.

    Args:
        decision: The decision after the failed attempt.

    Returns:
        ``False`` if the request itself is wrong, or if the exception gives no information about the API. Otherwise
        ``True``.
    """
    if decision.failure is None:
        return False
    return decision.failure.category is not FailureCategory.INVALID_REQUEST


def takes_out_key(decision: Decision) -> bool:
    """Return whether the provider rejected the API key, so that no target with this key can answer.

    Args:
        decision: The decision after the failed attempt.
    """
    return decision.failure is not None and decision.failure.category is FailureCategory.AUTH


class Memory(ForkSafeLock):
    """Remember which target a router used last, and which target each conversation used last.

    A conversation is a group of calls with the same key. Many threads may use this object at the same time.
    """

    def __init__(self) -> None:
        self._last: str | None = None
        self._conversations: OrderedDict[Hashable, str] = OrderedDict()
        self._have_lock()

    def target_of(self, conversation: Hashable) -> str | None:
        """Return the name of the target that a conversation used last.

        Args:
            conversation: The key of the conversation; ``None`` for a call without a conversation.

        Returns:
            The name. ``None`` if ``conversation`` is ``None`` or unknown.
        """
        if conversation is None:
            return None
        with self._lock:
            return self._conversations.get(conversation)

    def used(self, target: LLMTarget, conversation: Hashable, failed: str | None) -> str | None:
        """Remember the target of the next attempt, and return the target from which the calls change to it.

        Args:
            target: The target of the next attempt.
            conversation: The key of the conversation; ``None`` for a call without a conversation.
            failed: The name of the target that failed just before in the same call; ``None`` if no target failed.

        Returns:
            The name of the previous target. ``None`` if there is no previous target, or if ``target`` is also the
            previous target.
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
