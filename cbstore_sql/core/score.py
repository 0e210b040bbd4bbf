"""The score of a failure-rate policy: what the outcomes of a report add to it and subtract from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbstore_sql.core import rules
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import check_factor
from cbstore_sql.errors import InvalidPolicyError


def weights(evidence: float, relief: float) -> dict[str, Any]:
    """Compute the four parameters by which a report of calls changes the score of a `FailureRate` policy.

    The score goes from 0 up; at 1, the circuit opens.

    Args:
        evidence: How much the failures of the report raise the score. A value above 1 counts as 1.
        relief: How much the successes of the report lower the score. The successes are applied before the failures.

    Returns:
        ``evidence`` (at most 1), ``relief``, ``enough`` (the lowest score with which this report opens the circuit)
        and ``trips_alone`` (1 if the report opens the circuit with every score, else 0).
    """
    added = min(1.0, evidence)
    enough = rules.TRIP_AT - added + relief
    return {"evidence": added, "relief": relief, "enough": enough, "trips_alone": int(added >= rules.TRIP_AT)}


_WEIGHTLESS = weights(0.0, 0.0)


def trip_test(policy: BreakerPolicy) -> str:
    """Return the test by which a policy opens a circuit: `rules.BY_COUNT` or `rules.BY_SCORE`."""
    return rules.BY_COUNT if policy.trip is None else rules.BY_SCORE


def weights_of(policy: BreakerPolicy, failures: int, successes: int, evidence: float | None) -> Mapping[str, Any]:
    """Return the `weights` of a report under a policy. Without a `FailureRate`, a report weighs nothing.

    Args:
        policy: The breaker's policy.
        failures: The number of failures.
        successes: The number of successes that came before the failures.
        evidence: The increase of the score that the caller passed; ``None`` means that the function computes the
            increase from the number of failures.

    Raises:
        InvalidPolicyError: ``evidence`` is out of range, or the policy has no score.
    """
    if policy.trip is None:
        if evidence is not None:
            raise InvalidPolicyError("evidence needs a policy with a score: write trip=FailureRate(0.05, 0.5)")
        return _WEIGHTLESS
    computed = failures * policy.trip.failure_step
    given = computed if evidence is None else check_factor("evidence", evidence, 0.0, 1.0)
    return weights(given, relief_of(policy, successes))


def relief_of(policy: BreakerPolicy, successes: int) -> float:
    """Return the decrease of the score by the successes of a report; at most 2, which clears every score.

    Args:
        policy: The breaker's policy.
        successes: The number of successes.
    """
    return 0.0 if policy.trip is None else min(2.0, successes * policy.trip.success_step)
