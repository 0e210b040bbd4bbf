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
    """Limit what the reports of this process add to the scores of breakers, for policies with ``min_reporters``.

    The score is the evidence of a failure-rate policy (``trip``). With the limit, a single process cannot open a
    circuit alone.

    Args:
        policy_for: A function that returns the policy of one breaker.
        clock: A function that returns seconds. Only differences between them matter.
        successes_since: A function that receives a breaker's name and a moment of ``clock``. It returns how many
            successes that this process has not reported ended after the moment.
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
        """Use a snapshot to update how much this process may still add to the breaker's score; see `OwnScores.seen`.

        For a policy without a score, this does nothing.

        Args:
            snapshot: The breaker, as the store returned it.
            asked_at: The moment just before the store call, in seconds of ``clock``.
        """
        trip = self._policy_for(snapshot.name).trip
        if trip is not None:
            step = trip.success_step
            self._own_scores.seen(snapshot, asked_at, lambda since: step * self._successes_since(snapshot.name, since))

    def send(self, report: StoreCall, permit: Permit) -> StoreCalls[Transition | None]:
        """Make the store call of a report. If it would add too much to the breaker's score, lower the amount first.

        Without ``min_reporters`` in the policy, the report is sent unchanged.

        Args:
            report: The store call.
            permit: The permit with which the report is sent.

        Returns:
            A generator of store calls. It returns ``None`` if the report had no effect; otherwise the state before it
            and the breaker after it.
        """
        policy = self._policy_for(permit.name)
        counts = report.operation in ("record_failure", "record_success") and not permit.is_probe
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
