"""The choice of the target for each attempt of one call. The code does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from cbstore_sql.llm.decision import Decision
from cbstore_sql.llm.failover import FailedOver, Memory, OnFailover
from cbstore_sql.llm.targets import LLMTarget, Targets


class Itinerary:
    """Choose the target for each attempt of one call of a router. Each target is tried at most once.

    Args:
        targets: All targets of the router.
        memory: The memory of the router: the last target, and the target of each conversation.
        conversation: The key of the conversation; ``None`` for a call without a conversation.
        on_failover: A function that this object calls with a `FailedOver` when the calls change to a different target.
    """

    def __init__(self, targets: Targets, memory: Memory, conversation: Hashable, on_failover: OnFailover) -> None:
        self.targets = targets
        self._memory = memory
        self._conversation = conversation
        self._on_failover = on_failover
        self._tried: dict[str, Decision] = {}

    @property
    def is_over(self) -> bool:
        """Whether the call has tried every target."""
        return len(self._tried) == len(self.targets.all)

    def names(self, is_open: Callable[[str], bool]) -> Sequence[str]:
        """Return the names of the targets that the call has not tried, the first choice first; see `Targets.order`.

        Args:
            is_open: A function that takes the name of a breaker and returns whether its circuit is open, as this
                process last saw it.
        """
        return self.targets.order(is_open, self._memory.target_of(self._conversation), self._tried)

    def use(self, name: str) -> LLMTarget:
        """Choose a target for the next attempt: remember it, and report a change of target to ``on_failover``.

        Args:
            name: The name of the target.

        Returns:
            The target with this name.
        """
        target = self.targets.by_name[name]
        failed = next(reversed(self._tried), None)
        previous = self._memory.used(target, self._conversation, failed)
        if previous is not None:
            decision = self._tried.get(previous)
            category = None if decision is None or decision.failure is None else decision.failure.category
            self._on_failover(FailedOver(name, previous, category))
        return target

    def failed(self, target: LLMTarget, decision: Decision) -> None:
        """Remember that a target failed in this call.

        Args:
            target: The target.
            decision: The decision after the failure.
        """
        self._tried[target.name] = decision
