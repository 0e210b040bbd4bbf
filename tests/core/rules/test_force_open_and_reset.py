"""Tests of the operations of an operator."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Row
from tests.core.rules.rows import CLEAN, DIRTY, ELAPSED, FREE, LAPSED, NOW, OPEN, PROBING, Expected, check

FORCED = {"state": "open", "last_failure_time": NOW, "open_until": 1120.0}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(CLEAN, {**FORCED, "generation": 1}, id="closed and clean"),
        pytest.param(DIRTY, {**FORCED, "generation": 5}, id="closed with failures: they are kept"),
        pytest.param(OPEN, {"generation": 6, "last_failure_time": NOW, "open_until": 1120.0}, id="open: prolonged"),
        pytest.param(
            OPEN._replace(open_until=5000.0, last_failure_time=1001.0),
            {"generation": 6},
            id="open for longer: never less",
        ),
        pytest.param(
            PROBING._replace(success_count=1),
            {**FORCED, "generation": 7, "success_count": 0, "probe_token": "", "probe_until": 0.0},
            id="half_open: the probe is fenced off",
        ),
    ],
)
def test_force_open_gives_the_expected_row_for_each_state(row: Row, expected: Expected) -> None:
    check(row, commands.force_open("b", 120.0, NOW), expected)


RAMPING = Row("closed", "half_open", 7, closed_at=990.0, hold_until=1010.0, score=0.5, score_generation=7)


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, ELAPSED, PROBING, LAPSED, FREE._replace(success_count=1), RAMPING])
def test_reset_clears_everything_except_the_generation(row: Row) -> None:
    after = commands.reset("b", NOW).apply_to(row, NOW)
    assert after is not None
    assert after._replace(history="", score_generation=0) == Row(
        previous_state=row.state, generation=row.generation + 1
    )
    assert after.score_generation != after.generation


def test_reset_keeps_the_override() -> None:
    locked = OPEN._replace(override="open", override_until=2000.0, override_by="ann", override_reason="deploy")
    after = commands.reset("b", NOW).apply_to(locked, NOW)
    assert after is not None
    assert (after.override, after.override_until) == ("open", 2000.0)
    assert (after.override_by, after.override_reason) == ("ann", "deploy")
