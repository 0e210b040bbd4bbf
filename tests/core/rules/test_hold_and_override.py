"""Tests of what holds and overrides change in the row, and of which claims they forbid."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Row
from cbstore_sql.core.policy import BreakerPolicy
from tests.core.rules.rows import CLEAN, DIRTY, ELAPSED, LAPSED, NOW, OPEN, OWNER, POLICY, PROBING, Expected, check

LOCKED: dict[str, Any] = {
    "override": "open",
    "override_until": 1060.0,
    "override_by": "ann",
    "override_reason": "deploy",
}


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, PROBING])
def test_a_hold_changes_only_its_end(row: Row) -> None:
    check(row, commands.hold("b", 30.0, NOW), {"hold_until": 1030.0})


@pytest.mark.parametrize(
    ("held_until", "expected"),
    [(1010.0, {"hold_until": 1030.0}), (1030.0, {}), (1031.0, {}), (990.0, {"hold_until": 1030.0})],
)
def test_the_longest_hold_wins(held_until: float, expected: Expected) -> None:
    check(CLEAN._replace(hold_until=held_until), commands.hold("b", 30.0, NOW), expected)


@pytest.mark.parametrize("row", [CLEAN, DIRTY, OPEN, PROBING, OPEN._replace(override="closed", override_by="bob")])
def test_an_override_changes_only_its_own_columns(row: Row) -> None:
    command = commands.set_override("b", "open", "ann", "deploy", seconds=60.0, create=True, now=NOW)
    check(row, command, LOCKED)


def test_an_override_without_seconds_has_no_end() -> None:
    command = commands.set_override("b", "shadow", "ann", "rollout", seconds=None, create=True, now=NOW)
    expected = {"override": "shadow", "override_until": 0.0, "override_by": "ann", "override_reason": "rollout"}
    check(CLEAN._replace(**LOCKED), command, {key: expected[key] for key in expected if key != "override_by"})


def test_clear_override_removes_every_part_of_the_override() -> None:
    cleared = {"override": "", "override_until": 0.0, "override_by": "", "override_reason": ""}
    check(OPEN._replace(**LOCKED), commands.clear_override("b", "bob", NOW), cleared)
    check(OPEN, commands.clear_override("b", "bob", NOW), {})


HELD: dict[str, Any] = {"hold_until": 1000.001}


@pytest.mark.parametrize(
    ("steering", "won"),
    [
        pytest.param({}, True, id="neither"),
        pytest.param({"hold_until": 1000.0}, True, id="a hold that ends at this instant"),
        pytest.param(HELD, False, id="a hold"),
        pytest.param({"override": "open"}, False, id="locked open without an end"),
        pytest.param({"override": "open", "override_until": 1000.001}, False, id="locked open"),
        pytest.param({"override": "open", "override_until": 1000.0}, True, id="a lock that expires at this instant"),
        pytest.param({"override": "closed"}, True, id="locked closed"),
        pytest.param({"override": "closed", **HELD}, True, id="locked closed: holds are ignored"),
        pytest.param({"override": "closed", "override_until": 2000.0, **HELD}, True, id="the same, with an end"),
        pytest.param({"override": "closed", "override_until": 1000.0, **HELD}, False, id="an expired lock, and a hold"),
        pytest.param({"override": "shadow"}, True, id="shadow"),
        pytest.param({"override": "shadow", **HELD}, False, id="shadow does what it would do without: a hold"),
    ],
)
@pytest.mark.parametrize("row", [ELAPSED, LAPSED])
def test_holds_and_overrides_decide_whether_a_claim_succeeds(row: Row, steering: dict[str, Any], won: bool) -> None:
    after = commands.claim_probe("b", POLICY, "me", NOW).apply_to(row._replace(**steering), NOW)
    assert (after is not None) is won


def test_the_owner_can_repeat_its_claim_under_an_override_or_a_hold() -> None:
    row = PROBING._replace(override="open", hold_until=2000.0)
    check(row, commands.claim_probe("b", POLICY, "owner", NOW), {})


@pytest.mark.parametrize("steering", [{"override": "open"}, {"override": "closed"}, {"hold_until": 9e9}])
def test_reports_count_under_an_override_and_a_hold(steering: dict[str, Any]) -> None:
    locked = {name: row._replace(**steering) for name, row in {"dirty": DIRTY, "probing": PROBING}.items()}
    tripped = commands.record_failure("b", POLICY, 1, NOW, 0.0).apply_to(locked["dirty"], NOW)
    closed = commands.record_success(OWNER, BreakerPolicy(), None, NOW).apply_to(locked["probing"], NOW)
    assert tripped is not None
    assert closed is not None
    assert (tripped.state, closed.state) == ("open", "closed")
