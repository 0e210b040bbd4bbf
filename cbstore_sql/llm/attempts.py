"""The decisions between the attempts of one call, without any I/O: shared by both kinds of callers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from cbstore_sql.core.model import Verdict
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.decision import Decision, RateLimitAction
from cbstore_sql.llm.observer import Observer
from cbstore_sql.llm.retry_budget import RetryBudget
from cbstore_sql.runtime.backoff import ExponentialBackoff

log = logging.getLogger("cbstore_sql")

FIRST_BACKOFF = 1.0
"""Seconds."""

_HOLDS = ("hold", "ramp", "ramp_up")
"""Reasons of a rejection that passes by itself: the API asked everyone to wait, or calls come back at a ramp."""

_BACKOFF_JITTER = (0.8, 1.2)


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt that was not answered.

    Attributes:
        decision: What follows from the failure.
        error: What the attempt raised. ``None`` when it returned.
        result: What the attempt returned, when it raised nothing.
    """

    decision: Decision
    error: Exception | None = None
    result: Any = None

    @property
    def verdict(self) -> Verdict:
        """What it says about the API."""
        return Verdict.FAILURE if self.decision.counts else Verdict.NONE

    def end(self) -> Any:
        """Give the caller what the attempt gave: raise what it raised, or return what it returned."""
        if self.error is not None:
            raise self.error
        return self.result


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
        last: The failure of the last attempt; ``None`` before the first.
    """

    name: str
    config: LLMCircuitBreakerConfig
    observer: Observer
    budget: RetryBudget
    agent_id: str | None
    left: int
    backoff: ExponentialBackoff = field(init=False)
    last: FailedAttempt | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        longest, factor = self.config.max_backoff_seconds, self.config.backoff_multiplier
        self.backoff = ExponentialBackoff(FIRST_BACKOFF, longest, factor=factor, jitter=_BACKOFF_JITTER)

    def begin(self) -> float:
        """Note that an attempt begins; return the moment, seconds by a steady clock."""
        self.left -= 1
        return time.perf_counter()

    def raised(self, error: Exception, began: float) -> FailedAttempt:
        """Note that an attempt raised."""
        self._ended("failure", began)
        self.last = FailedAttempt(self.config.decide(error), error)
        return self.last

    def returned(self, result: Any, began: float) -> FailedAttempt | None:
        """Note that an attempt returned; return a failure when it returned an error."""
        decision = self.config.decide_result(result)
        if decision.failure is None or not (decision.counts or decision.action):
            self._ended("success", began)
            return None
        self._ended("failure", began)
        self.last = FailedAttempt(decision, result=result)
        return self.last

    def opened(self, began: float) -> None:
        """Note that a stream was opened."""
        self._ended("success", began)

    def broke(self, error: Exception) -> FailedAttempt:
        """Note that a stream broke after its attempt had been answered."""
        return FailedAttempt(self.config.decide(error), error)

    def rejected(self, refused: CircuitBreakerOpenError) -> None:
        """Note that an attempt was not admitted."""
        self.observer.request(f"rejected_{refused.state}", 0.0)

    def hold_of(self, refused: CircuitBreakerOpenError) -> float | None:
        """Return the seconds to wait out a wait of the whole fleet; ``None`` when the caller is to be rejected."""
        if refused.reason not in _HOLDS or self.config.on_hold == "refuse":
            return None
        return self.config.pause_for(refused.retry_after) if refused.reason == "hold" else refused.retry_after

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
