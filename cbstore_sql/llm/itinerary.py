"""Which target each attempt of one call goes to, and what is told about it; without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from cbstore_sql.llm.decision import Decision
from cbstore_sql.llm.failover import FailedOver, Memory, OnFailover
from cbstore_sql.llm.targets import LLMTarget, Targets


class Itinerary:
    """The targets of one call, each at most once.

    Args:
        targets: All targets of the router.
        memory: What the router remembers.
        conversation: The key of the conversation; ``None`` does not stick.
        on_failover: Told when the calls go to another target.
    """

    def __init__(self, targets: Targets, memory: Memory, conversation: Hashable, on_failover: OnFailover) -> None:
        self.targets = targets
        self._memory = memory
        self._conversation = conversation
        self._on_failover = on_failover
        self._tried: dict[str, Decision] = {}

    @property
    def is_over(self) -> bool:
        """Whether every target was tried."""
        return len(self._tried) == len(self.targets.all)

    def names(self, is_open: Callable[[str], bool]) -> Sequence[str]:
        """Return the names to ask next, the most preferred first."""
        return self.targets.order(is_open, self._memory.target_of(self._conversation), self._tried)

    def use(self, name: str) -> LLMTarget:
        """Note that the next attempt goes to a target, and return it."""
        target = self.targets.by_name[name]
        failed = next(reversed(self._tried), None)
        previous = self._memory.used(target, self._conversation, failed)
        if previous is not None:
            decision = self._tried.get(previous)
            category = None if decision is None or decision.failure is None else decision.failure.category
            self._on_failover(FailedOver(name, previous, category))
        return target

    def failed(self, target: LLMTarget, decision: Decision) -> None:
        """Note that a target did not answer."""
        self._tried[target.name] = decision
