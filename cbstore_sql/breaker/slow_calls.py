"""Slow calls: under ``slow_after``, a successful call that took longer counts as a failure."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.core.model import LocalPermit, Permit, TimedPermit, UnreportedPermit, Verdict
from cbstore_sql.core.policy import BreakerPolicy


class SlowCalls:
    """Measure the duration of calls, so that a success that took longer than ``slow_after`` counts as a failure.

    The duration ends with the call, or with the first part of a streamed answer.

    Args:
        policy_for: A function that returns the policy of one breaker.
        clock: A function that returns seconds. Only differences between them matter.
    """

    def __init__(self, policy_for: Callable[[str], BreakerPolicy], clock: Callable[[], float]) -> None:
        self._policy_for = policy_for
        self._clock = clock

    def timed(self, permit: Permit) -> Permit:
        """Start the measurement of an admitted call, if the policy has ``slow_after``.

        Returns:
            A permit that contains the start time. ``permit`` itself if the policy has no ``slow_after``, or if the
            outcome of the call is not reported.
        """
        if self._policy_for(permit.name).slow_after is None or isinstance(permit, UnreportedPermit):
            return permit
        timed = permit if isinstance(permit, LocalPermit) else TimedPermit(*permit)
        timed.admitted_at = self._clock()
        return timed

    def answered(self, permit: Permit) -> None:
        """End the measurement of a call, because the first part of its answer has arrived.

        The rest of the answer may take any time.

        Args:
            permit: The permit of the call.
        """
        if isinstance(permit, TimedPermit) and permit.answered_at is None:
            permit.answered_at = self._clock()

    def judge(self, permit: Permit, verdict: Verdict) -> Verdict:
        """Return the final verdict on a call that ends now: a success that took too long becomes a failure.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict so far: success, failure, or none (the call does not count).
        """
        if verdict is not Verdict.SUCCESS or not isinstance(permit, TimedPermit):
            return verdict
        slow_after = self._policy_for(permit.name).slow_after
        ended = self._clock() if permit.answered_at is None else permit.answered_at
        slow = slow_after is not None and ended - permit.admitted_at > slow_after
        return Verdict.FAILURE if slow else verdict
