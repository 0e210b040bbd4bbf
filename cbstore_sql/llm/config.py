"""What an LLM circuit breaker is set to."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from cbstore_sql.core.model import State
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import MAX_SECONDS, check_factor, check_seconds, check_threshold
from cbstore_sql.llm.classify import FailureClass, classify_failure
from cbstore_sql.stores.dict_protocol import DEFAULT_PROBE_LEASE

CircuitState = State
"""The three states of a circuit, by the name code for LLM breakers has for them."""


@dataclass(frozen=True)
class LLMCircuitBreakerConfig:
    """The settings of one LLM circuit breaker.

    Args:
        enabled: ``False``, the default, lets everything pass and records nothing.
        max_failures: Failures in a row that open the circuit; at least 1.
        reset_time_seconds: Seconds an open circuit refuses calls before one probe is let through; at least 1.
        backoff_multiplier: Each pause before a retry is this many times the one before; at least 1.
        max_backoff_seconds: The longest such pause in seconds, before jitter; at least 1.
        retry_after_threshold_seconds: The longest ``Retry-After`` of a 429, in seconds, that is waited for; one
            beyond it opens the circuit for its time. 0 waits for none, infinity for all.
        retryable_status_codes: The HTTP statuses besides 429 that count as failures and are tried again.
        probe_lease_seconds: Seconds a probe belongs to its caller; more than 0. `call_with_retry` renews it for as
            long as the call runs; asked and recorded by hand it must outlast the longest call.
        reopen_on_no_verdict: What becomes of a probe that ends without a verdict (cancelled, or failed in a way that
            does not count): ``True`` opens the circuit again, ``False`` lets the next caller probe at once.

    Raises:
        InvalidPolicyError: (a `ValueError`) A value is out of range or NaN.
    """

    enabled: bool = False
    max_failures: int = 5
    reset_time_seconds: float = 60
    backoff_multiplier: float = 2.0
    max_backoff_seconds: float = 300.0
    retry_after_threshold_seconds: float = 120.0
    retryable_status_codes: Collection[int] = (500, 502, 503, 529)
    probe_lease_seconds: float = DEFAULT_PROBE_LEASE
    reopen_on_no_verdict: bool = True

    def __post_init__(self) -> None:
        check_threshold("max_failures", self.max_failures)
        check_seconds("reset_time_seconds", self.reset_time_seconds, minimum=1.0)
        check_factor("backoff_multiplier", self.backoff_multiplier, 1.0, math.inf)
        check_seconds("max_backoff_seconds", self.max_backoff_seconds, minimum=1.0)
        check_factor("retry_after_threshold_seconds", self.retry_after_threshold_seconds, 0.0, math.inf)
        check_seconds("probe_lease_seconds", self.probe_lease_seconds, minimum=0.001)

    @property
    def policy(self) -> BreakerPolicy:
        """The part of it that a breaker's state is run by."""
        return BreakerPolicy(
            failure_threshold=self.max_failures,
            recovery_timeout=self.reset_time_seconds,
            probe_lease=self.probe_lease_seconds,
        )

    def open_seconds(self, asked: float) -> float:
        """Return how long a circuit is forced open when ``asked`` seconds are asked for."""
        return min(max(self.reset_time_seconds, asked), MAX_SECONDS)

    def classify_failure(self, error: BaseException) -> FailureClass:
        """Judge a failed call by these settings."""
        return classify_failure(error, self.retry_after_threshold_seconds, self.retryable_status_codes)
