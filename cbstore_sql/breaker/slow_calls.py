"""Slow calls: under ``slow_after``, a successful call that took longer counts as a failure."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.core.model import LocalPermit, Permit, TimedPermit, UnreportedPermit, Verdict
from cbstore_sql.core.policy import BreakerPolicy


class SlowCalls:
    """A time measurement of calls, from the admission to the report or to the first part of a streamed answer.

    Args:
        policy_for: A function that returns the policy of one breaker.
        clock: A function that returns seconds of a steady clock.
    """

    def __init__(self, policy_for: Callable[[str], BreakerPolicy], clock: Callable[[], float]) -> None:
        self._policy_for = policy_for
        self._clock = clock

    def timed(self, permit: Permit) -> Permit:
        """Return a permit with the moment of the admission if the policy has ``slow_after``; otherwise ``permit``."""
        if self._policy_for(permit.name).slow_after is None or isinstance(permit, UnreportedPermit):
            return permit
        timed = permit if isinstance(permit, LocalPermit) else TimedPermit(*permit)
        timed.admitted_at = self._clock()
        return timed

    def answered(self, permit: Permit) -> None:
        """Note that the first part of an answer has arrived. The rest of the answer may take any time."""
        if isinstance(permit, TimedPermit) and permit.answered_at is None:
            permit.answered_at = self._clock()

    def judge(self, permit: Permit, verdict: Verdict) -> Verdict:
        """Return the verdict of a call that ends now. A success that took longer than ``slow_after`` is a failure.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call before the measurement: success, failure, or none (the call does not
                count).
        """
        if verdict is not Verdict.SUCCESS or not isinstance(permit, TimedPermit):
            return verdict
        slow_after = self._policy_for(permit.name).slow_after
        ended = self._clock() if permit.answered_at is None else permit.answered_at
        slow = slow_after is not None and ended - permit.admitted_at > slow_after
        return Verdict.FAILURE if slow else verdict
