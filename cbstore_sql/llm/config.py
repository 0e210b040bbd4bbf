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
"""The three states of a circuit, by the name that code for LLM breakers has for them."""

OnHold = Literal["wait", "refuse"]

A_DAY = 86_400.0
"""Seconds."""

_WAIT_JITTER = 1.2
"""A caller waits up to a fifth longer than asked and never shorter: callers must not come back at the same moment."""


@dataclass(frozen=True)
class LLMCircuitBreakerConfig:
    """The settings of one LLM circuit breaker.

    Args:
        enabled: ``False``, the default, lets every call pass and records nothing.
        max_failures: Failures in a row that open the circuit; at least 1.
        reset_time_seconds: Seconds an open circuit rejects calls before one probe is admitted; at least 1.
        backoff_multiplier: Each pause before a retry is this many times the one before; at least 1.
        max_backoff_seconds: The longest such pause in seconds, before jitter; at least 1.
        retry_after_threshold_seconds: The longest wait in seconds that a caller waits out. A longer one opens the
            circuit for its time. 0 waits out none, infinity all.
        max_retry_after_seconds: Seconds; a server that asks for a longer wait is taken to ask for this one. At least 1.
        retryable_status_codes: The HTTP statuses besides 429 that count as failures and are tried again. ``None``
            means every transient one: 408, 409, 424, 425, and from 500 on all but 501, 505, 510 and 511.
        count_connection_errors: Whether connection errors and timeouts count as failures and are tried again.
        retry_unanswered: Whether a call is tried again when the API may have done the work, and billed it, although no
            complete answer arrived: a timeout, a connection that broke, an error in a stream.
        retry_share: Retries that each call of this process allows on average, 0 to 1; 0 allows only the burst.
            ``None`` limits nothing.
        retry_burst: Retries allowed beyond that share; at least 0. A process never makes more retries than
            ``retry_share`` times its calls plus this.
        ramp_up_seconds: Seconds over which a growing share of calls comes back after such a wait, and after the circuit
            has closed; 0 lets all come back at once.
        on_hold: What a caller does while the API has asked the fleet to wait: ``"wait"`` waits it out, ``"refuse"``
            raises `CircuitBreakerOpenError` with ``retry_after``.
        classify: Called with each exception before the built-in rules. It returns an `ApiFailure`, a
            `FailureCategory` or its value, or ``None`` to leave the exception to the built-in rules.
        probe_lease_seconds: Seconds a probe belongs to its caller; more than 0. `call_with_retry` renews it while the
            call runs; a probe taken with `should_block` must end within it.
        reopen_on_no_verdict: What happens to the circuit when a probe ends without a verdict (cancelled, or failed in
            a way that does not count): ``True`` opens it again, ``False`` lets the next caller probe at once.

    Raises:
        InvalidArgumentError: (a `ValueError`) A value is of the wrong kind, such as a status code as text.
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
        """The settings that the state machine uses."""
        return BreakerPolicy(
            failure_threshold=self.max_failures,
            recovery_timeout=self.reset_time_seconds,
            probe_lease=self.probe_lease_seconds,
            ramp_up=self.ramp_up_seconds,
        )

    @property
    def shares_waits(self) -> bool:
        """Whether a short wait that the API asks for holds up the whole fleet."""
        return True

    def open_seconds(self, asked: float) -> float:
        """Return how many seconds a circuit is opened for when ``asked`` seconds are asked for."""
        return min(max(self.reset_time_seconds, asked), MAX_SECONDS)

    def pause_for(self, wait: float) -> float:
        """Return how many seconds a caller pauses when the API asks for a wait: at least the wait, with jitter."""
        return wait * rng.uniform(1.0, _WAIT_JITTER)

    def decide(self, error: BaseException) -> Decision:
        """Decide what follows from an exception."""
        return self._follow(asked(self.classify, error) or classify_error(error))

    def decide_result(self, result: Any) -> Decision:
        """Decide what follows from a returned value; for an answer, `NO_VERDICT`."""
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
    """Return HTTP status codes as a tuple; a single one is taken too.

    Raises:
        InvalidArgumentError: Something in it is not a whole number from 100 to 999.
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
