"""Tests of the five fields of the dictionary protocol, and of what they overwrite."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Row
from tests.core.rules.rows import CLEAN, DIRTY, NOW, OPEN, PROBING, Expected, check


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, PROBING])
def test_replace_state_overwrites_all_five_fields_and_raises_the_generation(row: Row) -> None:
    whole = {
        "state": "half_open",
        "failure_count": 9,
        "last_failure_time": 7.5,
        "open_until": 8.5,
        "half_open_probe_active": True,
    }
    after = commands.replace_state("b", whole, 30.0, None).apply_to(row, NOW)
    assert after is not None
    assert after.probe_token not in ("", "owner")
    assert after._replace(history="") == Row(
        "half_open", row.state, row.generation + 1, 9, 0, 7.5, 8.5, row.open_seconds, after.probe_token, NOW + 30.0
    )


@pytest.mark.parametrize(
    ("row", "updates", "expected"),
    [
        (PROBING, {}, {"generation": 7}),
        (PROBING, {"failure_count": 0}, {"generation": 7, "failure_count": 0}),
        (PROBING, {"last_failure_time": 0.0}, {"generation": 7, "last_failure_time": 0.0}),
        (PROBING, {"open_until": 0.0}, {"generation": 7, "open_until": 0.0}),
        (PROBING, {"half_open_probe_active": False}, {"generation": 7, "probe_token": "", "probe_until": 0.0}),
        (PROBING, {"state": "open"}, {"generation": 7, "state": "open"}),
        (PROBING, {"state": "closed"}, {"generation": 7, "state": "closed", "open_seconds": 0.0}),
        (PROBING._replace(success_count=1), {}, {"generation": 7, "success_count": 0}),
    ],
)
def test_replace_state_keeps_the_fields_that_are_not_given(
    row: Row, updates: dict[str, Any], expected: Expected
) -> None:
    check(row, commands.replace_state("b", updates, 30.0, "half_open"), expected)


@pytest.mark.parametrize("row", [CLEAN, OPEN, PROBING])
@pytest.mark.parametrize("expected_state", ["closed", "open", "half_open"])
def test_replace_state_has_an_effect_only_in_the_expected_state(row: Row, expected_state: str) -> None:
    after = commands.replace_state("b", {"failure_count": 8}, 30.0, expected_state).apply_to(row, NOW)
    assert (after is not None) is (row.state == expected_state)


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, PROBING])
def test_increment_failure_changes_only_the_count(row: Row) -> None:
    check(row, commands.increment_failure("b"), {"failure_count": row.failure_count + 1})
