"""The decision after a failed attempt: whether the failure counts, and whether and when to try again."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from cbstore_sql.llm.classification.form import PERMANENT, ApiFailure, FailureCategory


class RateLimitAction(Enum):
    """What the breaker does when an API limits its callers."""

    WAIT = "wait"
    """The API asks for a short wait. Wait and try again."""

    STOP = "stop"
    """The API asks for a long wait, or the quota is used up. Open the circuit for the time of the wait."""

    CAP = "cap"
    """The API reports a rate limit without a time. Count a failure, pause, and try again."""


class Decision(NamedTuple):
    """What the breaker does after one failed attempt.

    Attributes:
        action: The reaction if the API asked for a wait or reported a rate limit. ``None`` if the API did neither.
        wait: Seconds that the API asks callers to wait. ``None`` if the API gave no time. With the action ``STOP``, the
            circuit is open for at least this time.
        counts: Whether the failure counts towards opening the circuit.
        retry: Whether the breaker may make another attempt, because another attempt may succeed.
        failure: The classified failure. ``None`` if the outcome gives no information about the API.
    """

    action: RateLimitAction | None
    wait: float | None
    counts: bool
    retry: bool
    failure: ApiFailure | None = None


NO_VERDICT = Decision(None, None, counts=False, retry=False)


def decide(failure: ApiFailure | None, *, threshold: float, longest_wait: float, counts: bool, retry: bool) -> Decision:
    """Decide what follows a failure: open the circuit at once, count the failure, or try again.

    Args:
        failure: The classified failure. ``None`` if the outcome gives no information about the API.
        threshold: The longest wait in seconds that a caller waits. A longer wait opens the circuit.
        longest_wait: The upper limit in seconds for the wait that the API asks for. A longer wait is cut to this limit.
        counts: Whether the settings let a failure that is not a rate limit count.
        retry: Whether the settings allow a retry after a failure that is not a rate limit.

    Returns:
        The decision; `NO_VERDICT` if ``failure`` is ``None``.
    """
    if failure is None:
        return NO_VERDICT
    wait = None if failure.wait is None else min(failure.wait, longest_wait)
    if failure.category is FailureCategory.QUOTA_EXHAUSTED:
        return Decision(RateLimitAction.STOP, wait, counts=False, retry=False, failure=failure)
    if failure.category in PERMANENT:
        return Decision(None, None, counts=False, retry=failure.should_retry is True, failure=failure)
    limited = failure.category is FailureCategory.RATE_LIMITED
    if wait is not None and wait > threshold:
        return Decision(RateLimitAction.STOP, wait, counts=False, retry=False, failure=failure)
    again = (limited or retry) if failure.should_retry is None else failure.should_retry
    if wait:
        return Decision(RateLimitAction.WAIT, wait, counts=counts and not limited, retry=again, failure=failure)
    action = RateLimitAction.CAP if limited else None
    return Decision(action, None, counts=counts or limited, retry=again, failure=failure)
