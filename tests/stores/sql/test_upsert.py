"""Tests of the statement that creates a breaker, if another process has created the breaker in the meantime."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, State
from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.statements.statement import Statement

POLICY = BreakerPolicy(failure_threshold=4, recovery_timeout=60.0)
NOW = 1000.0

COMMANDS = {
    "record_failure": lambda name: commands.record_failure(name, POLICY, 1, NOW, 0.5),
    "force_open": lambda name: commands.force_open(name, 30.0, NOW),
    "reset": lambda name: commands.reset(name, NOW),
    "hold": lambda name: commands.hold(name, 30.0, NOW),
    "set_override": lambda name: commands.set_override(name, "open", "ann", "due", seconds=60.0, create=True, now=NOW),
    "increment_failure": lambda name: commands.increment_failure(name)._replace(parameters={"now": NOW}),
    "replace_state": lambda name: commands.replace_state(name, {"last_failure_time": 9.0}, 60.0, None),
}
FOUND: dict[str, dict[str, Any]] = {
    "closed, with failures": {"failure_count": 2, "last_failure_time": 5.0},
    "open": {"state": "open", "failure_count": 3, "open_until": 5000.0},
}


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with SqlStore(url, namespace=uuid.uuid4().hex) as store:
        yield store


def carried_out(store: SqlStore, statement: Statement, command: Command) -> list[object]:
    given = {**command.parameters, "now": NOW, "namespace": store.namespace, "name": command.name}
    return [tuple(row) for row in statement.completed(store._execute(Query(statement, given)))]


def test_the_tests_cover_every_operation_that_can_create_a_breaker() -> None:
    assert set(COMMANDS) == {name for name, operation in OPERATIONS.items() if operation.creates}


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("operation", COMMANDS)
def test_the_upsert_of_an_existing_breaker_has_the_effect_of_the_update(
    store: SqlStore, operation: str, found: str
) -> None:
    statements = store._queries._statements
    for name in ("updated", "made"):
        store._apply(commands.replace_state(name, FOUND[found], 60.0, None)._replace(name=name))
    updated = carried_out(store, statements.update[operation], COMMANDS[operation]("updated"))
    made = carried_out(store, statements.upsert[operation], COMMANDS[operation]("made"))
    assert len(updated) == 1
    assert made == updated


def test_a_stale_report_has_no_effect_on_a_breaker_that_another_process_just_created(store: SqlStore) -> None:
    stale = store.read("b").permit
    store.reset("b")
    command = commands.record_failure(stale, POLICY, 1, NOW, None)
    assert carried_out(store, store._queries._statements.upsert["record_failure"], command) == []
    assert store.read("b").failure_count == 0
    assert store.read("b").state is State.CLOSED
