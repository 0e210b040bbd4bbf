"""What follows from a failed call: whether it counts, whether it is tried again, and when."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from cbstore_sql.llm.classification.form import PERMANENT, ApiFailure, FailureCategory


class RateLimitAction(Enum):
    """What to do when the API asks callers to wait."""

    WAIT = "wait"
    """A short wait: wait and try again."""

    STOP = "stop"
    """A long wait or a used-up quota: open the circuit for that time."""

    CAP = "cap"
    """A rate limit that does not say how long: count a failure, back off and try again."""


class Decision(NamedTuple):
    """What follows from one failed call.

    Attributes:
        action: ``None`` where the API does not ask to wait.
        wait: Seconds to wait, or to open the circuit for. ``None`` when the API does not say.
        counts: Whether it is a failure of the dependency.
        retry: Whether another attempt may help.
        failure: The failure. ``None`` when the exception says nothing about the API.
    """

    action: RateLimitAction | None
    wait: float | None
    counts: bool
    retry: bool
    failure: ApiFailure | None = None


NO_VERDICT = Decision(None, None, counts=False, retry=False)


def decide(failure: ApiFailure | None, *, threshold: float, longest_wait: float, counts: bool, retry: bool) -> Decision:
    """Decide what follows from a failure.

    Args:
        failure: ``None`` when there is no verdict.
        threshold: Seconds; a longer wait opens the circuit.
        longest_wait: Seconds; a longer wait is taken for this one.
        counts: Whether the settings let a failure other than a rate limit count.
        retry: Whether the settings let such a failure be tried again.
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
