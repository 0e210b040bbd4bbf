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
    """The record of one failed attempt, with what the breaker decided to do after the attempt.

    Attributes:
        decision: What follows the failure: whether it counts towards opening the circuit, whether the breaker may try
            again, and after how many seconds.
        error: The exception of the attempt. ``None`` if the attempt returned a value.
        result: The value that the attempt returned. ``None`` if the attempt raised an exception.
    """

    decision: Decision
    error: Exception | None = None
    result: Any = None

    @property
    def verdict(self) -> Verdict:
        """What to report to the breaker about the attempt.

        ``FAILURE`` if the failure counts towards opening the circuit. Otherwise ``NONE``: the attempt counts neither as
        a success nor as a failure.
        """
        return Verdict.FAILURE if self.decision.counts else Verdict.NONE

    def end(self) -> Any:
        """Give the outcome of the attempt to the caller: raise its exception, or return its value.

        Raises:
            Exception: The exception of the attempt, if there is one.
        """
        if self.error is not None:
            raise self.error
        return self.result


@dataclass
class Attempts:
    """Count the attempts of one call, record their outcomes, and decide whether another attempt may follow.

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
        """Count one attempt as used, and return the start time of the attempt.

        Returns:
            The start time in seconds of ``time.perf_counter``. Pass the start time to `raised`, `returned` or `opened`.
        """
        self.left -= 1
        return time.perf_counter()

    def raised(self, error: Exception, began: float) -> FailedAttempt:
        """Record that an attempt raised an exception, and decide what follows.

        Args:
            error: The exception.
            began: The start time from `begin`.

        Returns:
            The failed attempt, with the decision about the exception.
        """
        self._ended("failure", began)
        self.last = FailedAttempt(self.config.decide(error), error)
        return self.last

    def returned(self, result: Any, began: float) -> FailedAttempt | None:
        """Record that an attempt returned a value, and find out whether the value is an error.

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
        """Record that an attempt opened a stream. In the metrics, this attempt is a success.

        Args:
            began: The start time from `begin`.
        """
        self._ended("success", began)

    def broke(self, error: Exception) -> FailedAttempt:
        """Decide what follows when an open stream raises an exception, and return the failed attempt.

        This method records nothing in the metrics, because `opened` has already recorded the attempt.

        Args:
            error: The exception that the stream raised.
        """
        return FailedAttempt(self.config.decide(error), error)

    def rejected(self, refused: CircuitBreakerOpenError) -> None:
        """Record in the metrics that the breaker rejected an attempt.

        Args:
            refused: The exception with which the breaker rejected the attempt.
        """
        self.observer.request(f"rejected_{refused.state}", 0.0)

    def hold_of(self, refused: CircuitBreakerOpenError) -> float | None:
        """Return how many seconds a rejected caller must wait before it asks the breaker again.

        A caller waits only after two kinds of rejection. In a hold, the API has asked all callers to wait. In a ramp,
        the breaker admits only a growing share of the calls.

        Args:
            refused: The exception with which the breaker rejected the attempt.

        Returns:
            Seconds. ``None`` if the caller must not wait: the reason is not a hold or a ramp, or ``on_hold`` is
            ``"refuse"``.
        """
        if refused.reason not in _HOLDS or self.config.on_hold == "refuse":
            return None
        return self.config.pause_for(refused.retry_after) if refused.reason == "hold" else refused.retry_after

    def waits(self, decision: Decision) -> bool:
        """Return whether the API asked for a wait and the call may make another attempt after the wait.

        If the answer is ``True``, this method has used one retry of the retry budget.

        Args:
            decision: The decision after the failed attempt.
        """
        return decision.action is RateLimitAction.WAIT and self.may_retry(decision)

    def may_retry(self, decision: Decision) -> bool:
        """Return whether the call may make another attempt.

        The answer is ``True`` if the decision allows a retry, the call has an attempt left, and the retry budget has a
        retry left. In this case, this method has used one retry of the budget.

        Args:
            decision: The decision after the failed attempt.
        """
        return decision.retry and self.left > 0 and self.budget.take()

    def pause_for(self, decision: Decision) -> float:
        """Return how many seconds to wait before the next attempt.

        If the API asked for a wait, this is that wait, or up to 20 % more; see `LLMCircuitBreakerConfig.pause_for`.
        Otherwise it is a pause with a random part, and each pause is longer than the previous one.

        Args:
            decision: The decision after the failed attempt.
        """
        if decision.action is RateLimitAction.WAIT:
            return self.config.pause_for(decision.wait or 0.0)
        return self.backoff.next()

    def log(self, level: int, what: str, seconds: float) -> None:
        """Log what the call does next. The log line contains no text from the API.

        Args:
            level: The level of the log line, such as ``logging.INFO``.
            what: What the call does next, such as ``"trying again"``.
            seconds: In how many seconds the call does this.
        """
        fields = {"cb_name": self.name, "cb_agent_id": self.agent_id, "cb_seconds": seconds}
        log.log(level, "circuit breaker %r: %s in %.1f s", self.name, what, seconds, extra=fields)

    def _ended(self, outcome: str, began: float) -> None:
        self.observer.request(outcome, time.perf_counter() - began)
