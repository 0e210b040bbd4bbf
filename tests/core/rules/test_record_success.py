"""Tests of which successes clear the count or close the circuit."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Permit, Row
from cbstore_sql.core.policy import BreakerPolicy
from tests.core.rules.rows import (
    CLEAN,
    DIRTY,
    EARLIER_OWNER,
    ELAPSED,
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

CLOSED = {
    "state": "closed",
    "closed_at": NOW,
    "generation": 7,
    "failure_count": 0,
    "open_seconds": 0.0,
    "probe_token": "",
    "probe_until": 0.0,
}


@pytest.mark.parametrize(
    ("row", "target", "expected"),
    [
        pytest.param(CLEAN, "b", None, id="closed and clean: nothing to write"),
        pytest.param(CLEAN, Permit("b", 0), None, id="fenced as well"),
        pytest.param(DIRTY, "b", {"failure_count": 0}, id="closed with failures: cleaned"),
        pytest.param(DIRTY, Permit("b", 4), {"failure_count": 0}, id="fenced as well: cleaned"),
        pytest.param(DIRTY, Permit("b", 3), None, id="closed: a permit from before cleans nothing"),
        pytest.param(
            DIRTY._replace(failure_count=0, probe_token="odd", probe_until=5.0),
            "b",
            {"probe_token": "", "probe_until": 0.0},
            id="closed with a probe left over: cleaned",
        ),
        pytest.param(OPEN, "b", None, id="open: a success does not close it"),
        pytest.param(ELAPSED, "b", None, id="open and elapsed: nor then"),
        pytest.param(OPEN, Permit("b", 5), None, id="open, fenced: nor then"),
        pytest.param(PROBING, OWNER, CLOSED, id="half_open: the owner's success closes"),
        pytest.param(LAPSED, OWNER, CLOSED, id="half_open: late, but nobody took over"),
        pytest.param(PROBING, "b", CLOSED, id="half_open, unfenced: closes"),
        pytest.param(PROBING, EARLIER_OWNER, None, id="half_open: an earlier owner has no effect"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="half_open: another life's owner has no effect"),
        pytest.param(PROBING, UNOWNED, None, id="half_open: no token, no effect"),
        pytest.param(FREE, UNOWNED, None, id="half_open with a free slot: nobody owns it"),
    ],
)
def test_record_success_gives_the_expected_row_for_each_state(
    row: Row, target: str | Permit, expected: Expected
) -> None:
    check(row, commands.record_success(target, POLICY, None, NOW), expected)


def test_one_success_clears_a_closed_circuit_with_any_success_threshold() -> None:
    check(DIRTY, commands.record_success("b", BreakerPolicy(success_threshold=2), None, NOW), {"failure_count": 0})


def test_success_threshold_probes_close_the_circuit() -> None:
    policy = BreakerPolicy(success_threshold=2)
    nearer = {"generation": 7, "success_count": 1, "probe_token": "", "probe_until": 0.0}
    check(PROBING, commands.record_success(OWNER, policy, None, NOW), nearer)
    once = PROBING._replace(success_count=1)
    check(once, commands.record_success(OWNER, policy, None, NOW), {**CLOSED, "success_count": 0})


@pytest.mark.parametrize(
    ("row", "expected_state", "effect"),
    [
        (DIRTY, "closed", True),
        (DIRTY, "open", False),
        (DIRTY, "half_open", False),
        (OPEN, "open", False),
        (OPEN, "closed", False),
        (PROBING, "half_open", True),
        (PROBING, "closed", False),
        (PROBING, "open", False),
    ],
)
def test_record_success_has_an_effect_only_in_the_expected_state(row: Row, expected_state: str, effect: bool) -> None:
    after = commands.record_success("b", POLICY, expected_state, NOW).apply_to(row, NOW)
    assert (after is not None) is effect
