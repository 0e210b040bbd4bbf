"""Slow calls: under ``slow_after`` a call that took longer counts as a failure, whatever it returned."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.core.model import LocalPermit, Permit, TimedPermit, UnreportedPermit, Verdict
from cbstore_sql.core.policy import BreakerPolicy


class SlowCalls:
    """Times calls from their admission to their report, or to the first part of a streamed answer.

    Args:
        policy_for: Returns the policy of one breaker.
        clock: The steady clock, seconds.
    """

    def __init__(self, policy_for: Callable[[str], BreakerPolicy], clock: Callable[[], float]) -> None:
        self._policy_for = policy_for
        self._clock = clock

    def timed(self, permit: Permit) -> Permit:
        """Note the moment of admission on a permit, if the policy asks how long the call takes."""
        if self._policy_for(permit.name).slow_after is None or isinstance(permit, UnreportedPermit):
            return permit
        timed = permit if isinstance(permit, LocalPermit) else TimedPermit(*permit)
        timed.admitted_at = self._clock()
        return timed

    def answered(self, permit: Permit) -> None:
        """Note that the first part of an answer has come: the rest may take any time."""
        if isinstance(permit, TimedPermit) and permit.answered_at is None:
            permit.answered_at = self._clock()

    def judge(self, permit: Permit, verdict: Verdict) -> Verdict:
        """Return the verdict of a call that ends now: a success that took too long is a failure."""
        if verdict is not Verdict.SUCCESS or not isinstance(permit, TimedPermit):
            return verdict
        slow_after = self._policy_for(permit.name).slow_after
        ended = self._clock() if permit.answered_at is None else permit.answered_at
        slow = slow_after is not None and ended - permit.admitted_at > slow_after
        return Verdict.FAILURE if slow else verdict
