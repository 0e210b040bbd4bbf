"""Tests of properties of all operations."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Row
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.rules import OPERATIONS
from tests.core.rules.rows import CLEAN, NOW, POLICY, UNOWNED, check


@pytest.mark.parametrize(
    "command",
    [
        commands.claim_probe("b", POLICY, "me", NOW),
        commands.record_success("b", POLICY, None, NOW),
        commands.record_success(UNOWNED, POLICY, None, NOW),
        commands.release_probe(Permit("b", 0, "me"), NOW),
        commands.renew_probe(Permit("b", 0, "me"), POLICY, NOW),
    ],
    ids=lambda command: command.operation,
)
def test_operations_that_create_no_breaker_have_no_effect_on_a_new_breaker(command: Command) -> None:
    assert not OPERATIONS[command.operation].creates
    check(CLEAN, command, None)


def test_the_default_policy_is_five_failures_sixty_seconds_one_success() -> None:
    policy = BreakerPolicy()
    row: Row | None = Row()
    for _ in range(4):
        row = commands.record_failure("b", policy, 1, NOW, None).apply_to(row or Row(), NOW)
    assert row is not None
    assert row.state == "closed"
    row = commands.record_failure("b", policy, 1, NOW, None).apply_to(row, NOW)
    assert row is not None
    assert (row.state, row.open_until) == ("open", NOW + 60.0)
    row = commands.claim_probe("b", policy, "me", NOW + 60.0).apply_to(row, NOW)
    assert row is not None
    row = commands.record_success(Permit("b", row.generation, "me"), policy, None, NOW).apply_to(row, NOW)
    assert row is not None
    assert row.state == "closed"
