"""Tests of which failures count, and of which failures open the circuit."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Permit, Row
from cbstore_sql.core.policy import BreakerPolicy
from tests.core.rules.rows import (
    CLEAN,
    DIRTY,
    EARLIER_OWNER,
    FREE,
    LAPSED,
    NOW,
    OPEN,
    OWNER,
    POLICY,
    PROBING,
    SAME_GENERATION_OTHER_TOKEN,
    UNOWNED,
    Expected,
    check,
)

OPENED = {"state": "open", "open_until": 1060.0, "open_seconds": 60.0, "last_failure_time": NOW}
REOPENED = {
    "state": "open",
    "generation": 7,
    "failure_count": 4,
    "last_failure_time": NOW,
    "open_until": 1060.0,
    "probe_token": "",
    "probe_until": 0.0,
}


@pytest.mark.parametrize(
    ("row", "target", "expected"),
    [
        pytest.param(CLEAN, "b", {"failure_count": 1, "last_failure_time": NOW}, id="closed: the first is counted"),
        pytest.param(CLEAN, Permit("b", 0), {"failure_count": 1, "last_failure_time": NOW}, id="fenced as well"),
        pytest.param(
            DIRTY._replace(failure_count=1), "b", {"failure_count": 2, "last_failure_time": NOW}, id="one below"
        ),
        pytest.param(DIRTY, "b", {**OPENED, "generation": 5, "failure_count": 3}, id="closed: the threshold opens"),
        pytest.param(
            Row(probe_token="odd", probe_until=5.0),
            "b",
            {"failure_count": 1, "last_failure_time": NOW},
            id="closed with a probe left over: it is left there",
        ),
        pytest.param(
            DIRTY, Permit("b", 4), {**OPENED, "generation": 5, "failure_count": 3}, id="fenced at the threshold"
        ),
        pytest.param(DIRTY, Permit("b", 3), None, id="closed: a permit from before has no effect"),
        pytest.param(DIRTY, Permit("b", 5), None, id="closed: a permit from a later life has no effect"),
        pytest.param(
            DIRTY, Permit("b", 4, "owner"), None, id="closed: a settled owner of the same number has no effect"
        ),
        pytest.param(
            OPEN,
            "b",
            {"failure_count": 4, "last_failure_time": NOW, "open_until": 1060.0},
            id="open, unfenced: prolonged",
        ),
        pytest.param(
            OPEN._replace(open_until=2000.0),
            "b",
            {"failure_count": 4, "last_failure_time": NOW},
            id="open, unfenced: never shortened",
        ),
        pytest.param(OPEN, Permit("b", 5), None, id="open: a permit has no effect and does not prolong"),
        pytest.param(OPEN, Permit("b", 4), None, id="open: a permit from before has no effect"),
        pytest.param(PROBING, OWNER, REOPENED, id="half_open: the owner's failure re-opens"),
        pytest.param(LAPSED, OWNER, REOPENED, id="half_open: late, but nobody took over"),
        pytest.param(PROBING, "b", REOPENED, id="half_open, unfenced: re-opens"),
        pytest.param(FREE, "b", REOPENED | {}, id="half_open without a probe, unfenced: re-opens"),
        pytest.param(PROBING, EARLIER_OWNER, None, id="half_open: an earlier owner has no effect"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="half_open: another life's owner has no effect"),
        pytest.param(PROBING, UNOWNED, None, id="half_open: no token, no effect"),
        pytest.param(FREE, UNOWNED, None, id="half_open with a free slot: nobody owns it"),
        pytest.param(
            PROBING._replace(success_count=1),
            OWNER,
            {**REOPENED, "success_count": 0},
            id="half_open: successes are lost",
        ),
    ],
)
def test_record_failure_gives_the_expected_row_for_each_state(
    row: Row, target: str | Permit, expected: Expected
) -> None:
    if expected is not None and row is FREE:
        expected = {column: value for column, value in expected.items() if not column.startswith("probe_")}
    check(row, commands.record_failure(target, POLICY, 1, NOW, 0.0), expected)


def test_a_threshold_of_one_opens_at_the_first_failure() -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0)
    check(CLEAN, commands.record_failure("b", policy, 1, NOW, 0.0), {**OPENED, "generation": 1, "failure_count": 1})


@pytest.mark.parametrize(("failures", "state"), [(1, "closed"), (2, "closed"), (3, "open"), (9, "open")])
def test_several_failures_in_one_report_open_the_circuit_like_several_reports(failures: int, state: str) -> None:
    after = commands.record_failure("b", POLICY, failures, NOW, 0.0).apply_to(CLEAN, NOW)
    assert after is not None
    assert (after.state, after.failure_count) == (state, failures)
