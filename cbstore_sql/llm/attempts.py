"""The decisions between the attempts of one call, without any I/O: shared by ``retry.py`` and ``retry_async.py``."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.decision import Decision, RateLimitAction
from cbstore_sql.llm.observer import Observer
from cbstore_sql.llm.retry_budget import RetryBudget
from cbstore_sql.runtime.backoff import ExponentialBackoff

log = logging.getLogger("cbstore_sql")

FIRST_BACKOFF = 1.0
"""Seconds."""

_BACKOFF_JITTER = (0.8, 1.2)


class AttemptFailed(Exception):
    """Carries a failed attempt through the guard, which reads from it whether the failure counts.

    Attributes:
        decision: What follows from the failure.
        error: What the attempt raised. ``None`` when it returned.
        result: What the attempt returned, when it raised nothing.
    """

    def __init__(self, decision: Decision, error: Exception | None = None, result: Any = None) -> None:
        super().__init__()
        self.decision = decision
        self.error = error
        self.result = result


class ProbeLostError(Exception):
    """Another caller took the probe while its owner waited: ask for admission again."""


def counts(error: BaseException) -> bool:
    """Return whether what a guarded attempt raised is a failure of the API."""
    return isinstance(error, AttemptFailed) and error.decision.counts


@dataclass
class Attempts:
    """The attempts of one call.

    Args:
        name: The breaker's name.
        config: What to retry and how long to wait.
        observer: Told of each attempt and each rejection.
        budget: What retries are taken from.
        agent_id: For the log.
        left: How many attempts may be made.

    Attributes:
        backoff: The pauses that no server asked for.
    """

    name: str
    config: LLMCircuitBreakerConfig
    observer: Observer
    budget: RetryBudget
    agent_id: str | None
    left: int
    backoff: ExponentialBackoff = field(init=False)

    def __post_init__(self) -> None:
        longest, factor = self.config.max_backoff_seconds, self.config.backoff_multiplier
        self.backoff = ExponentialBackoff(FIRST_BACKOFF, longest, factor=factor, jitter=_BACKOFF_JITTER)

    def begin(self) -> float:
        """Note that an attempt begins; return the moment, seconds by a steady clock."""
        self.left -= 1
        return time.perf_counter()

    def raised(self, error: Exception, began: float) -> AttemptFailed:
        """Note that an attempt raised."""
        self._ended("failure", began)
        return AttemptFailed(self.config.decide(error), error)

    def returned(self, result: Any, began: float) -> AttemptFailed | None:
        """Note that an attempt returned; return a failure when it returned an error."""
        decision = self.config.decide_result(result)
        if decision.failure is None or not (decision.counts or decision.action):
            self._ended("success", began)
            return None
        self._ended("failure", began)
        return AttemptFailed(decision, result=result)

    def rejected(self, refused: CircuitBreakerOpenError) -> None:
        """Note that an attempt was not admitted."""
        self.observer.request(f"rejected_{refused.state}", 0.0)

    def waits(self, decision: Decision) -> bool:
        """Return whether the next attempt comes after a wait that the API asked for; it is taken from the budget."""
        return decision.action is RateLimitAction.WAIT and self.may_retry(decision)

    def may_retry(self, decision: Decision) -> bool:
        """Return whether there is another attempt, and take it from the budget."""
        return decision.retry and self.left > 0 and self.budget.take()

    def pause_for(self, decision: Decision) -> float:
        """Return the seconds until the next attempt, with jitter."""
        if decision.action is RateLimitAction.WAIT:
            return self.config.pause_for(decision.wait or 0.0)
        return self.backoff.next()

    def log(self, level: int, what: str, seconds: float) -> None:
        """Log what happens next, without anything that the API said."""
        fields = {"cb_name": self.name, "cb_agent_id": self.agent_id, "cb_seconds": seconds}
        log.log(level, "circuit breaker %r: %s in %.1f s", self.name, what, seconds, extra=fields)

    def _ended(self, outcome: str, began: float) -> None:
        self.observer.request(outcome, time.perf_counter() - began)
