"""The settings of an LLM circuit breaker."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from cbstore_sql.breaker.arguments import check_flag
from cbstore_sql.core.model import State
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import MAX_SECONDS, check_factor, check_seconds, check_threshold
from cbstore_sql.errors import InvalidArgumentError, InvalidPolicyError
from cbstore_sql.llm.classification import classify_error, classify_result
from cbstore_sql.llm.classification.custom import Classify, asked
from cbstore_sql.llm.classification.form import ApiFailure, FailureCategory
from cbstore_sql.llm.decision import NO_VERDICT, Decision, decide
from cbstore_sql.runtime.rng import rng
from cbstore_sql.stores.dict_protocol import DEFAULT_PROBE_LEASE

# RFC 9110: a status code is a three-digit number.
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 999

CircuitState = State
"""The three states of a circuit; a second name for `State`, which other LLM breakers use."""

OnHold = Literal["wait", "refuse"]

A_DAY = 86_400.0
"""One day in seconds."""

_WAIT_JITTER = 1.2
"""A caller waits 1 to 1.2 times as long as the API asked, so that the callers do not return at the same moment."""


@dataclass(frozen=True)
class LLMCircuitBreakerConfig:
    """The settings of one LLM circuit breaker.

    Args:
        enabled: ``True`` turns the breaker on. With ``False``, the default, every call passes and nothing is recorded.
        max_failures: The number of failures in a row that opens the circuit; at least 1.
        reset_time_seconds: How many seconds an open circuit rejects calls before it admits one probe; at least 1.
        backoff_multiplier: The factor by which each pause before a retry is longer than the previous pause; at least 1.
        max_backoff_seconds: The longest pause before a retry in seconds, without its random part; at least 1.
        retry_after_threshold_seconds: If the API asks for a wait of at most this many seconds, the caller waits. A
            longer wait opens the circuit for the time of the wait. With 0, every wait opens the circuit. With infinity,
            no wait opens the circuit.
        max_retry_after_seconds: The upper limit in seconds for a wait that the API asks for; at least 1. The breaker
            cuts a longer wait to this limit.
        retryable_status_codes: The HTTP statuses besides 429 that the breaker counts as failures, and after which the
            breaker makes another attempt. ``None`` means every transient status: 408, 409, 424, 425, and all statuses
            from 500 on except 501, 505, 510 and 511.
        count_connection_errors: Whether the breaker counts connection errors and timeouts as failures and makes another
            attempt after them.
        retry_unanswered: Whether to try again after a timeout, a broken connection or an error in a stream. In these
            cases the API may already have done the work, and billed the work, although no complete answer arrived.
        retry_share: The number of retries that each call adds to the retry budget of this process, from 0 to 1. With 0,
            the process may make only ``retry_burst`` retries. ``None`` sets no limit on retries.
        retry_burst: The number of retries in the budget at the start, and the most that the budget saves up; at least
            0. Even with 0, the budget can save up one retry. A process never makes more retries than ``retry_share``
            times its calls plus ``retry_burst``.
        ramp_up_seconds: For how many seconds the breaker admits only a growing share of the calls after the circuit
            closes, or after a wait that the API asked all processes for. With 0, the breaker admits all calls at once.
        on_hold: What a caller does while the API has asked all processes to wait (a hold). With ``"wait"``, the caller
            waits. With ``"refuse"``, the breaker raises `CircuitBreakerOpenError` with ``retry_after``.
        classify: A function that the breaker calls with each exception before the built-in rules. The function returns
            an `ApiFailure`, a `FailureCategory` or the text of a category. The function returns ``None`` if the
            built-in rules must classify the exception. ``None`` in place of a function means the built-in rules only.
        probe_lease_seconds: For how many seconds a probe belongs to its caller; at least 0.001. `call_with_retry` and
            `stream` renew the lease while the call runs. A caller that got the probe from `should_block` must report
            within this time.
        reopen_on_no_verdict: What happens if a probe says nothing about the API, because the call was cancelled or
            failed in a way that does not count. With ``True``, the circuit opens again. With ``False``, the next caller
            may probe at once.

    Raises:
        InvalidArgumentError: (a `ValueError`) A value has the wrong type, such as a status code as text.
        InvalidPolicyError: (a `ValueError`) A value is out of range or NaN.
    """

    enabled: bool = False
    max_failures: int = 5
    reset_time_seconds: float = 60
    backoff_multiplier: float = 2.0
    max_backoff_seconds: float = 300.0
    retry_after_threshold_seconds: float = 120.0
    max_retry_after_seconds: float = A_DAY
    retryable_status_codes: Collection[int] | None = None
    count_connection_errors: bool = True
    retry_unanswered: bool = True
    retry_share: float | None = 0.1
    retry_burst: float = 10.0
    ramp_up_seconds: float = 1.0
    on_hold: OnHold = "wait"
    classify: Classify | None = None
    probe_lease_seconds: float = DEFAULT_PROBE_LEASE
    reopen_on_no_verdict: bool = True

    def __post_init__(self) -> None:
        check_threshold("max_failures", self.max_failures)
        check_seconds("reset_time_seconds", self.reset_time_seconds, minimum=1.0)
        check_factor("backoff_multiplier", self.backoff_multiplier, 1.0, math.inf)
        check_seconds("max_backoff_seconds", self.max_backoff_seconds, minimum=1.0)
        check_factor("retry_after_threshold_seconds", self.retry_after_threshold_seconds, 0.0, math.inf)
        check_factor("max_retry_after_seconds", self.max_retry_after_seconds, 1.0, math.inf)
        check_seconds("probe_lease_seconds", self.probe_lease_seconds, minimum=0.001)
        check_seconds("ramp_up_seconds", self.ramp_up_seconds)
        if self.retry_share is not None:
            check_factor("retry_share", self.retry_share, 0.0, 1.0)
        check_factor("retry_burst", self.retry_burst, 0.0, math.inf)
        if self.on_hold not in ("wait", "refuse"):
            raise InvalidPolicyError(f'on_hold must be "wait" or "refuse", not {self.on_hold!r}')
        if self.classify is not None and not callable(self.classify):
            raise InvalidPolicyError("classify must be a callable that takes an exception, or None")
        for label in ("enabled", "count_connection_errors", "retry_unanswered", "reopen_on_no_verdict"):
            check_flag(label, getattr(self, label))
        if self.retryable_status_codes is not None:
            object.__setattr__(self, "retryable_status_codes", check_status_codes(self.retryable_status_codes))

    @property
    def policy(self) -> BreakerPolicy:
        """These settings as a `BreakerPolicy`, for the `CircuitBreaker` that keeps the circuit."""
        return BreakerPolicy(
            failure_threshold=self.max_failures,
            recovery_timeout=self.reset_time_seconds,
            probe_lease=self.probe_lease_seconds,
            ramp_up=self.ramp_up_seconds,
        )

    @property
    def shares_waits(self) -> bool:
        """Whether a short wait that the API asks for makes the whole fleet wait.

        With ``False``, only the present caller waits.
        """
        return True

    def open_seconds(self, asked: float) -> float:
        """Return for how many seconds to open the circuit.

        Args:
            asked: The open time in seconds that the API or the caller asked for.

        Returns:
            ``asked``, but at least ``reset_time_seconds`` and at most `MAX_SECONDS`, the longest time that stores
            accept.
        """
        return min(max(self.reset_time_seconds, asked), MAX_SECONDS)

    def pause_for(self, wait: float) -> float:
        """Return how many seconds a caller waits after the API asked for a wait.

        Args:
            wait: The wait in seconds that the API asked for.

        Returns:
            Seconds: ``wait`` times a random factor from 1 to 1.2.
        """
        return wait * rng.uniform(1.0, _WAIT_JITTER)

    def decide(self, error: BaseException) -> Decision:
        """Decide what follows an exception: open the circuit at once, count a failure, or try again.

        Args:
            error: The exception that the call raised.

        Returns:
            The decision; `NO_VERDICT` if the exception gives no information about the API.
        """
        return self._follow(asked(self.classify, error) or classify_error(error))

    def decide_result(self, result: Any) -> Decision:
        """Decide what follows a returned value: open the circuit at once, count a failure, or try again.

        Args:
            result: The value that the call returned.

        Returns:
            The decision; `NO_VERDICT` if the value is a good answer and not an error.
        """
        return self._follow(classify_result(result))

    def _follow(self, failure: ApiFailure | None) -> Decision:
        if failure is None:
            return NO_VERDICT
        if self.retryable_status_codes is not None and failure.status in self.retryable_status_codes:
            failure = failure.as_retryable
        counts = self._counts(failure)
        return decide(
            failure,
            threshold=self.retry_after_threshold_seconds,
            longest_wait=self.max_retry_after_seconds,
            counts=counts,
            retry=counts and (self.retry_unanswered or not failure.maybe_billed),
        )

    def _counts(self, failure: ApiFailure) -> bool:
        if failure.status is None and failure.category in (FailureCategory.CONNECTION, FailureCategory.TIMEOUT):
            return self.count_connection_errors
        return self.retryable_status_codes is None or failure.implied_status in self.retryable_status_codes


def check_status_codes(given: Any) -> tuple[int, ...]:
    """Check HTTP status codes and return them as a tuple.

    Args:
        given: One status code, or an iterable of status codes.

    Raises:
        InvalidArgumentError: ``given`` is text or not iterable, or a status code is not a whole number from 100 to 999.
    """
    codes = (given,) if isinstance(given, int) else given
    if isinstance(codes, (str, bytes)) or not isinstance(codes, Iterable):
        raise InvalidArgumentError(
            f"retryable_status_codes takes whole numbers, got {type(given).__name__}: write (500, 502, 503)"
        )
    checked = tuple(codes)
    for code in checked:
        if not isinstance(code, int) or isinstance(code, bool) or not _LOWEST_STATUS <= code <= _HIGHEST_STATUS:
            raise InvalidArgumentError(f"retryable_status_codes takes numbers from 100 to 999, got {code!r}")
    return checked
