"""What the outcomes of a report add to the score, and subtract from it."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, InvalidPolicyError
from cbstore_sql.core.rules import BY_COUNT, BY_SCORE, TRIP_AT
from cbstore_sql.core.score import relief_of, trip_test, weights, weights_of

COUNT = BreakerPolicy()
RATE = FailureRate(0.05, 0.5)
SCORE = BreakerPolicy(trip=RATE)


def test_a_policy_trips_by_count_or_by_score() -> None:
    assert (trip_test(COUNT), trip_test(SCORE)) == (BY_COUNT, BY_SCORE)


def test_each_outcome_weighs_its_step() -> None:
    expected = weights(3 * RATE.failure_step, 2 * RATE.success_step)
    assert weights_of(SCORE, 3, 2, None) == pytest.approx(expected)
    assert relief_of(SCORE, 3) == pytest.approx(3 * RATE.success_step)
    assert relief_of(SCORE, 10**9) == 2.0, "which clears every score"


def test_without_a_score_nothing_weighs() -> None:
    assert weights_of(COUNT, 3, 2, None) == weights(0.0, 0.0)
    assert relief_of(COUNT, 3) == 0.0
    with pytest.raises(InvalidPolicyError, match="trip=FailureRate"):
        weights_of(COUNT, 1, 0, 0.5)


def test_evidence_of_the_caller_is_taken_if_it_is_a_share() -> None:
    assert weights_of(SCORE, 3, 0, 0.25) == weights(0.25, 0.0)
    with pytest.raises(InvalidPolicyError):
        weights_of(SCORE, 3, 0, 1.5)


@pytest.mark.parametrize(
    ("evidence", "relief", "enough", "alone"),
    [(0.25, 0.0, TRIP_AT - 0.25, 0), (0.25, 0.5, TRIP_AT + 0.25, 0), (3.0, 0.0, TRIP_AT - 1.0, 1)],
)
def test_the_rule_is_told_from_which_score_the_report_trips(
    evidence: float, relief: float, enough: float, alone: int
) -> None:
    told = weights(evidence, relief)
    assert told == {"evidence": min(1.0, evidence), "relief": relief, "enough": enough, "trips_alone": alone}
