"""Reports under ``min_reporters``: each adds to the shared score only what this process may add."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.own_score import OwnScores, clip_for
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import StoreError
from cbstore_sql.stores.call import StoreCall, StoreCalls


class ScoreLimit:
    """The limit on what the reports of this process add to the score of a breaker, for policies with ``trip``.

    Args:
        policy_for: A function that returns the policy of one breaker.
        clock: A function that returns seconds of a steady clock.
        successes_since: A function that receives a breaker's name and a moment of ``clock``, and returns how many
            unreported successes ended after the moment.
    """

    def __init__(
        self,
        policy_for: Callable[[str], BreakerPolicy],
        clock: Callable[[], float],
        successes_since: Callable[[str, float], int],
    ) -> None:
        self._policy_for = policy_for
        self._successes_since = successes_since
        self._own_scores = OwnScores(clock)

    def follow(self, snapshot: Snapshot, asked_at: float) -> None:
        """Update what this process may add, after the store has returned a snapshot; see `OwnScores.seen`.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of the steady clock.
        """
        trip = self._policy_for(snapshot.name).trip
        if trip is not None:
            step = trip.success_step
            self._own_scores.seen(snapshot, asked_at, lambda since: step * self._successes_since(snapshot.name, since))

    def send(self, report: StoreCall, permit: Permit) -> StoreCalls[Transition | None]:
        """Make a store call. Under ``min_reporters``, clip what a report adds to the score to this process's limit.

        Args:
            report: The store call.
            permit: The permit of the report.
        """
        policy = self._policy_for(permit.name)
        counts = report.operation in ("record_failure", "record_success", "send_success") and not permit.is_probe
        if policy.trip is None or policy.min_reporters == 1 or not counts:
            unclipped: Transition | None = yield report
            return unclipped
        failed = report.operation == "record_failure"
        step = report.keywords["failures"] * policy.trip.failure_step if failed else 0.0
        relief = report.keywords.get("successes", 0 if failed else 1) * policy.trip.success_step
        sent = self._own_scores.begin(permit.name, permit.generation, step, clip_for(policy.min_reporters))
        if failed:
            report = report._replace(keywords={**report.keywords, "evidence": sent.gain})
        applied: bool | None = None
        try:
            transition: Transition | None = yield report
            # If successes had no effect, the circuit was clean. If failures had none, their generation was out of date.
            applied = transition is not None or not failed
        except StoreError as error:
            applied = False if was_not_applied(error) else None
            raise
        finally:
            self._own_scores.end(sent, relief, applied=applied)
        return transition
