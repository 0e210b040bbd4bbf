"""The decisions between the attempts of one call.

Blocking and asynchronous callers share this code, which does no I/O.
"""

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
"""The first pause before a retry, in seconds, before jitter."""

_HOLDS = ("hold", "ramp", "ramp_up")
"""The reasons of a rejection after which a caller may wait: a hold of the fleet, or a ramp that admits some calls."""

_BACKOFF_JITTER = (0.8, 1.2)


@dataclass(frozen=True)
class FailedAttempt:
    """The record of one failed attempt.

    Attributes:
        decision: The decision whether the failure counts, whether the breaker may try again, and after what wait.
        error: The exception of the attempt. ``None`` if the attempt returned a value.
        result: The value that the attempt returned. ``None`` if the attempt raised an exception.
    """

    decision: Decision
    error: Exception | None = None
    result: Any = None

    @property
    def verdict(self) -> Verdict:
        """The verdict to report for the attempt: ``FAILURE`` if the failure counts, otherwise ``NONE`` (no verdict)."""
        return Verdict.FAILURE if self.decision.counts else Verdict.NONE

    def end(self) -> Any:
        """Raise the exception of the attempt, or return the value that the attempt returned.

        Raises:
            Exception: The exception of the attempt, if there is one.
        """
        if self.error is not None:
            raise self.error
        return self.result


@dataclass
class Attempts:
    """A counter and record of the attempts of one call.

    Args:
        name: The breaker's name.
        config: The settings that define which failures to retry and how long to wait.
        observer: The object that receives the outcome of each attempt and each rejection, for metrics.
        budget: The retry budget of this process. Each retry uses one retry of the budget.
        agent_id: A label for the log; ``None`` for no label.
        left: The number of attempts that the call may still make.

    Attributes:
        backoff: The lengths of the pauses in seconds, for failures for which the API asks for no wait.
        last: The most recent failed attempt; ``None`` if no attempt has failed.
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
        """Record the start of an attempt and return the start time.

        Returns:
            The start time in seconds of ``time.perf_counter``. Pass the start time to `raised`, `returned` or `opened`.
        """
        self.left -= 1
        return time.perf_counter()

    def raised(self, error: Exception, began: float) -> FailedAttempt:
        """Record that an attempt raised an exception, and return the failed attempt.

        Args:
            error: The exception.
            began: The start time from `begin`.
        """
        self._ended("failure", began)
        self.last = FailedAttempt(self.config.decide(error), error)
        return self.last

    def returned(self, result: Any, began: float) -> FailedAttempt | None:
        """Record that an attempt returned a value.

        Args:
            result: The returned value.
            began: The start time from `begin`.

        Returns:
            The failed attempt if the value is an error that counts or asks for a wait, otherwise ``None``.
        """
        decision = self.config.decide_result(result)
        if decision.failure is None or not (decision.counts or decision.action):
            self._ended("success", began)
            return None
        self._ended("failure", began)
        self.last = FailedAttempt(decision, result=result)
        return self.last

    def opened(self, began: float) -> None:
        """Record that an attempt opened a stream.

        Args:
            began: The start time from `begin`.
        """
        self._ended("success", began)

    def broke(self, error: Exception) -> FailedAttempt:
        """Return the failed attempt for a stream that opened and later raised an exception."""
        return FailedAttempt(self.config.decide(error), error)

    def rejected(self, refused: CircuitBreakerOpenError) -> None:
        """Record that the breaker rejected an attempt."""
        self.observer.request(f"rejected_{refused.state}", 0.0)

    def hold_of(self, refused: CircuitBreakerOpenError) -> float | None:
        """Return how many seconds a rejected caller waits for a hold or a ramp to pass.

        Args:
            refused: The rejection.

        Returns:
            Seconds. ``None`` if the caller must not wait: the reason is not a hold or a ramp, or ``on_hold`` is
            ``"refuse"``.
        """
        if refused.reason not in _HOLDS or self.config.on_hold == "refuse":
            return None
        return self.config.pause_for(refused.retry_after) if refused.reason == "hold" else refused.retry_after

    def waits(self, decision: Decision) -> bool:
        """Return whether the call tries again after a wait that the API asked for.

        If so, this method uses one retry of the retry budget.
        """
        return decision.action is RateLimitAction.WAIT and self.may_retry(decision)

    def may_retry(self, decision: Decision) -> bool:
        """Return whether the call may make another attempt. If so, this method uses one retry of the retry budget."""
        return decision.retry and self.left > 0 and self.budget.take()

    def pause_for(self, decision: Decision) -> float:
        """Return the seconds to wait before the next attempt, with jitter."""
        if decision.action is RateLimitAction.WAIT:
            return self.config.pause_for(decision.wait or 0.0)
        return self.backoff.next()

    def log(self, level: int, what: str, seconds: float) -> None:
        """Log the next step of the call. The log line contains no text from the API.

        Args:
            level: The level of the log line, such as ``logging.INFO``.
            what: The next step.
            seconds: The seconds until the next step.
        """
        fields = {"cb_name": self.name, "cb_agent_id": self.agent_id, "cb_seconds": seconds}
        log.log(level, "circuit breaker %r: %s in %.1f s", self.name, what, seconds, extra=fields)

    def _ended(self, outcome: str, began: float) -> None:
        self.observer.request(outcome, time.perf_counter() - began)
