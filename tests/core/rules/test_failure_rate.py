"""Tests of the failure-rate policy: how failures and successes change the score, and when the circuit opens.

The policy's steps are round numbers: a failure adds a quarter of the limit, a success takes a quarter.
"""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Permit, Row
from cbstore_sql.core.policy import BreakerPolicy, FailureRate
from tests.core.rules.rows import NOW, OPEN, OWNER, PROBING, Expected, check

# ln(0.8 / 0.2) = ln(4), and the same for successes; 4 ** 4 = 256.
RATE = BreakerPolicy(trip=FailureRate(0.2, 0.8, 256.0), recovery_timeout=60.0)
CLEAN = Row(generation=4)
HALF = Row(failure_count=2, last_failure_time=990.0, generation=4, score=0.5, score_generation=4)
STALE = HALF._replace(score_generation=3)
COUNTED = {"failure_count": 3, "last_failure_time": NOW}
TRIPPED = {"state": "open", "generation": 5, "open_until": 1060.0, "open_seconds": 60.0, "last_failure_time": NOW}


def rounded(row: Row) -> Row:
    return row._replace(score=round(row.score, 9))


def check_failures(row: Row, failures: int, successes: int, expected: Expected, evidence: float | None = None) -> None:
    command = commands.record_failure("b", RATE, failures, NOW, 0.0, successes=successes, evidence=evidence)
    after = command.apply_to(row, NOW)
    assert after is not None
    assert expected is not None
    before = row._replace(previous_state=row.state)
    assert rounded(after)._replace(history="") == before._replace(**expected)


@pytest.mark.parametrize(
    ("row", "failures", "successes", "expected"),
    [
        pytest.param(
            CLEAN,
            1,
            0,
            {"failure_count": 1, "last_failure_time": NOW, "score": 0.25, "score_generation": 4},
            id="a failure adds its step",
        ),
        pytest.param(HALF, 1, 0, {**COUNTED, "score": 0.75}, id="to the score so far"),
        pytest.param(HALF, 2, 0, {**TRIPPED, "failure_count": 4, "score": 1.0}, id="the whole limit trips"),
        pytest.param(
            STALE,
            1,
            0,
            {**COUNTED, "score": 0.25, "score_generation": 4},
            id="a score of an earlier generation counts as 0",
        ),
        pytest.param(
            HALF, 1, 1, {"failure_count": 1, "last_failure_time": NOW, "score": 0.5}, id="successes come first"
        ),
        pytest.param(
            HALF,
            1,
            9,
            {"failure_count": 1, "last_failure_time": NOW, "score": 0.25},
            id="successes never lower the score below 0, so the failure after them counts whole",
        ),
        pytest.param(
            HALF,
            4,
            9,
            {**TRIPPED, "failure_count": 4, "score": 1.0},
            id="a report whose failures alone make the limit trips, whatever came before",
        ),
        pytest.param(
            STALE,
            4,
            0,
            {**TRIPPED, "failure_count": 6, "score": 1.0, "score_generation": 4},
            id="it trips on a score of an earlier generation too",
        ),
        pytest.param(
            HALF, 1000, 0, {**TRIPPED, "failure_count": 1002, "score": 1.5}, id="a report adds one limit at most"
        ),
    ],
)
def test_failures_raise_the_score(row: Row, failures: int, successes: int, expected: Expected) -> None:
    check_failures(row, failures, successes, expected)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (0.0, {**COUNTED, "score": 0.5}),
        (0.1, {**COUNTED, "score": 0.6}),
        (0.499, {**COUNTED, "score": 0.999}),
        (0.5, {**TRIPPED, "failure_count": 3, "score": 1.0}),
    ],
)
def test_a_given_evidence_replaces_the_weight_of_the_failures(evidence: float, expected: Expected) -> None:
    check_failures(HALF, 1, 0, expected, evidence)


def test_successes_of_a_report_count_before_its_failures() -> None:
    together = commands.record_failure("b", RATE, 1, NOW, 0.0, successes=1).apply_to(CLEAN, NOW)
    failure = commands.record_failure("b", RATE, 1, NOW, 0.0).apply_to(CLEAN, NOW)
    assert together is not None
    assert failure is not None
    after_it = commands.record_success("b", RATE, None, NOW).apply_to(failure, NOW)
    assert after_it is not None
    assert (round(together.score, 9), together.failure_count) == (0.25, 1)
    assert (round(after_it.score, 9), after_it.failure_count) == (0.0, 0)


@pytest.mark.parametrize(
    ("row", "target", "successes", "expected"),
    [
        pytest.param(CLEAN, "b", 1, None, id="clean: nothing to write"),
        pytest.param(CLEAN._replace(score=0.5, score_generation=3), "b", 1, None, id="a score that no longer counts"),
        pytest.param(HALF, "b", 1, {"failure_count": 0, "score": 0.25}, id="lowered"),
        pytest.param(HALF, Permit("b", 4), 1, {"failure_count": 0, "score": 0.25}, id="fenced as well"),
        pytest.param(HALF, Permit("b", 3), 1, None, id="a permit of an earlier generation has no effect"),
        pytest.param(HALF, "b", 2, {"failure_count": 0, "score": 0.0}, id="to 0"),
        pytest.param(HALF, "b", 9, {"failure_count": 0, "score": 0.0}, id="and not below"),
        pytest.param(
            HALF._replace(failure_count=0), "b", 1, {"score": 0.25}, id="a score without failures in a row is dirty"
        ),
        pytest.param(STALE, "b", 1, {"failure_count": 0, "score": 0.0, "score_generation": 4}, id="count cleared"),
        pytest.param(OPEN, "b", 1, None, id="open: a success changes nothing"),
    ],
)
def test_successes_lower_the_score(row: Row, target: str | Permit, successes: int, expected: Expected) -> None:
    after = commands.record_success(target, RATE, None, NOW, successes=successes).apply_to(row, NOW)
    if expected is None:
        assert after is None
    else:
        assert after is not None
        assert rounded(after) == row._replace(previous_state=row.state, **expected)


def test_a_failure_rate_policy_settles_a_probe_like_any_other_policy() -> None:
    closed = {"state": "closed", "closed_at": NOW, "generation": 7, "failure_count": 0, "open_seconds": 0.0}
    check(PROBING, commands.record_success(OWNER, RATE, None, NOW), {**closed, "probe_token": "", "probe_until": 0.0})
    after = commands.record_failure(OWNER, RATE, 1, NOW, 0.0).apply_to(PROBING, NOW)
    assert after is not None
    assert (after.state, after.score, after.score_generation) == ("open", 0.0, 0)


def test_a_failure_of_an_open_circuit_does_not_change_the_score() -> None:
    after = commands.record_failure("b", RATE, 9, NOW, 0.0).apply_to(OPEN, NOW)
    assert after is not None
    assert (after.failure_count, after.score) == (12, 0.0)


@pytest.mark.parametrize(("successes", "count", "state"), [(0, 3, "open"), (1, 1, "closed"), (7, 1, "closed")], ids=str)
def test_successes_restart_the_count_in_a_row(successes: int, count: int, state: str) -> None:
    policy = BreakerPolicy(failure_threshold=3)
    after = commands.record_failure("b", policy, 1, NOW, 0.0, successes=successes).apply_to(HALF, NOW)
    assert after is not None
    assert (after.failure_count, after.state) == (count, state)
    assert (after.score, after.score_generation) == (HALF.score, HALF.score_generation)


def test_failures_after_successes_can_trip_by_count() -> None:
    after = commands.record_failure("b", BreakerPolicy(failure_threshold=3), 3, NOW, 0.0, successes=2).apply_to(
        HALF, NOW
    )
    assert after is not None
    assert (after.failure_count, after.state) == (3, "open")
