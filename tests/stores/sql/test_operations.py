"""Tests of the statements of each operation, and of what happens when a statement fails."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg
import pytest

from cbstore_sql import BreakerPolicy, Permit, Snapshot, State, StoreUnavailableError, TooManyBreakersError
from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import ANSWER_COLUMNS, Row
from cbstore_sql.stores.decode import to_snapshot
from cbstore_sql.stores.sql.operations import Query, QuerySteps, SqlOperations
from cbstore_sql.stores.sql.retry import NotSentError
from cbstore_sql.stores.sql.schema.table import TABLE_NAME

POLICY = BreakerPolicy()
PROBE = Permit("b", 6, "me")
VALUES = (
    *("open", "closed", 5, 3, 0, 950.0, 1010.0, 60.0, "", 0.0),
    *(0.5, 5, 940.0, 960.0, "open", 990.0, "ann", "deploy", 1000.0),
)
SEEN = Snapshot(
    *("b", State.OPEN, 5, 3, 0, 950.0, 1010.0, 60.0, "", 0.0, 1000.0),
    *(0.5, 940.0, 960.0, "open", 990.0, "ann", "deploy"),
)
UNWRITTEN = (*[None] * len(ANSWER_COLUMNS), 1000.0)
CLEAN = Snapshot.of("b", Row(), 1000.0)

FAILED = commands.record_failure("b", POLICY, 1, None, None)
FORCED = commands.force_open("b", 60.0, None)
CLAIMED = commands.claim_probe("b", POLICY, None, None)


@pytest.fixture
def queries() -> SqlOperations:
    return SqlOperations("postgresql", "cbstore", "ours", None)


def carried_out(steps: QuerySteps[Any], answers: Iterable[Any]) -> tuple[list[Query], Any]:
    """Answer each query of the steps in order, and return the queries and the result."""
    asked = [next(steps)]
    try:
        for answer in answers:
            if isinstance(answer, Exception):
                asked.append(steps.throw(answer))
            else:
                asked.append(steps.send([returned(asked[-1], row) for row in answer]))
    except StopIteration as done:
        return asked, done.value
    raise AssertionError("asked more often")


def returned(query: Query, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the columns that the database returns. An update does not return columns that it sets to constants."""
    columns = query.statement.text.partition("RETURNING ")[2]
    if row != VALUES or not columns:
        return row
    names = [name for name in (*ANSWER_COLUMNS, "as_of") if re.search(rf"\b{name}\b", columns)]
    return tuple(VALUES[(*ANSWER_COLUMNS, "as_of").index(name)] for name in names)


def error(sqlstate: str) -> Exception:
    return psycopg.errors.lookup(sqlstate)()


def test_read_selects_one_breaker_of_the_namespace(queries: SqlOperations) -> None:
    asked, snapshot = carried_out(queries.read("b", 7.0), [[VALUES]])
    assert snapshot == SEEN
    assert asked[0].parameters == {"namespace": "ours", "name": "b", "now": 7.0}
    assert carried_out(queries.read("b", None), [[UNWRITTEN]])[1] == CLEAN


def test_read_many_is_one_statement_and_missing_breakers_are_clean(queries: SqlOperations) -> None:
    asked, snapshots = carried_out(queries.read_many(["b", "c"], None), [[("b", *VALUES)]])
    assert snapshots == {"b": SEEN, "c": CLEAN._replace(name="c")}
    assert asked[0].parameters == {"namespace": "ours", "names": '["b", "c"]', "now": None}
    assert carried_out(queries.read_many(["b"], None), [[(None, *UNWRITTEN)]])[1] == {"b": CLEAN}


def test_read_all_selects_the_breakers_of_every_namespace(queries: SqlOperations) -> None:
    asked, found = carried_out(queries.read_all(), [[("theirs", "b", *VALUES)]])
    assert found == [("theirs", SEEN)]
    assert asked[0].parameters == {"now": None}


@pytest.mark.parametrize(
    ("command", "durable"),
    [
        (CLAIMED, True),
        (FAILED, False),
        (commands.record_success("b", POLICY, None, None), False),
        (commands.release_probe(PROBE, None), True),
        (commands.renew_probe(PROBE, POLICY, None), False),
        (FORCED, True),
        (commands.reset("b", None), True),
        (commands.hold("b", 1.0, None), True),
        (commands.set_override("b", "open", "ann", "deploy", seconds=None, create=False, now=None), True),
        (commands.clear_override("b", "ann", None), True),
        (commands.replace_state("b", {}, 1.0, None), True),
        (commands.increment_failure("b"), False),
    ],
    ids=lambda value: value.operation if isinstance(value, Command) else "",
)
def test_an_update_of_an_existing_breaker_is_one_statement(
    queries: SqlOperations, command: Command, durable: bool
) -> None:
    asked, transition = carried_out(queries.apply(command), [[VALUES]])
    (whole,) = asked[0].statement.completed([returned(asked[0], VALUES)])
    assert transition.snapshot == to_snapshot("b", whole)
    assert sum(one == other for one, other in zip(whole, VALUES, strict=True)) >= len(VALUES) // 2
    assert [query.durable for query in asked] == [durable]
    assert asked[0].parameters == {**command.parameters, "namespace": "ours", "name": "b"}


def test_a_command_without_effect_on_a_new_breaker_creates_no_row(queries: SqlOperations) -> None:
    for command in (CLAIMED, commands.record_failure(PROBE, POLICY, 1, None, None)):
        assert len(carried_out(queries.apply(command), [[]])[0]) == 1


def test_a_command_with_an_effect_on_a_new_breaker_creates_its_row(queries: SqlOperations) -> None:
    asked, transition = carried_out(queries.apply(FORCED), [[], [VALUES]])
    assert transition.snapshot == SEEN
    assert [query.durable for query in asked] == [True, True]
    assert ["INSERT" in query.statement.text for query in asked] == [False, True]
    assert carried_out(queries.apply(FORCED), [[], []])[1] is None


def test_a_breaker_beyond_the_limit_is_not_created() -> None:
    full = SqlOperations("postgresql", "cbstore", "ours", 3)
    asked, _ = carried_out(full.apply(FORCED), [[], [], [VALUES]])
    assert asked[1].parameters == {"namespace": "ours", "name": "b", "others": 2}
    assert asked[1].durable
    with pytest.raises(TooManyBreakersError):
        carried_out(full.apply(FORCED), [[], [("ours",)]])


def test_delete_is_a_durable_statement(queries: SqlOperations) -> None:
    asked, _ = carried_out(queries.delete("b"), [[]])
    assert asked[0].parameters == {"namespace": "ours", "name": "b"}
    assert asked[0].durable


def test_a_statement_after_a_conflict_is_repeated_in_a_separate_transaction(
    queries: SqlOperations,
) -> None:
    asked, _ = carried_out(
        queries.apply(FORCED), [error("40001"), NotSentError(error("57P01")), error("40P01"), [VALUES]]
    )
    assert [query.pinned for query in asked] == [False, True, True, True]
    assert {query.statement for query in asked} == {asked[0].statement}
    assert all(query.durable for query in asked)
    assert asked[0].pause == 0.0 < asked[1].pause


@pytest.mark.parametrize("failed", [error("57P01"), psycopg.OperationalError("lost")])
def test_a_count_that_may_have_been_applied_is_not_repeated(queries: SqlOperations, failed: Exception) -> None:
    with pytest.raises(StoreUnavailableError) as raised:
        carried_out(queries.apply(FAILED), [failed])
    assert raised.value.applied is None


def test_an_unknown_effect_of_an_earlier_attempt_is_kept_in_the_raised_error(queries: SqlOperations) -> None:
    lost, never_sent = error("57P01"), NotSentError(error("57P01"))
    for attempts, applied in (([lost, never_sent, never_sent], None), ([never_sent, never_sent], False)):
        with pytest.raises(StoreUnavailableError) as raised:
            carried_out(queries.apply(FORCED), attempts)
        assert raised.value.applied is applied


@pytest.mark.parametrize("steps", ["read", "read_many", "read_all", "delete"])
def test_reads_and_deletes_are_repeated_after_a_lost_connection(queries: SqlOperations, steps: str) -> None:
    asked: dict[str, tuple[QuerySteps[Any], list[Any]]] = {
        "read": (queries.read("b", None), [VALUES]),
        "read_many": (queries.read_many(["b"], None), [("b", *VALUES)]),
        "read_all": (queries.read_all(), []),
        "delete": (queries.delete("b"), []),
    }
    generator, rows = asked[steps]
    assert len(carried_out(generator, [error("57P01"), rows])[0]) == 2


def test_a_failed_read_had_no_effect(queries: SqlOperations) -> None:
    with pytest.raises(StoreUnavailableError) as raised:
        carried_out(queries.read("b", None), [error("57P01")] * 2)
    assert raised.value.applied is False


@pytest.mark.parametrize(("dialect", "place"), [("postgresql", f"cbstore.{TABLE_NAME}"), ("sqlite", TABLE_NAME)])
def test_statements_and_errors_name_the_table(dialect: str, place: str) -> None:
    asked, _ = carried_out(SqlOperations(dialect, "cbstore", "ours", None).apply(FAILED), [[VALUES]])
    assert asked[0].statement.text.startswith(f"UPDATE {place} ")
    with pytest.raises(StoreUnavailableError) as raised:
        carried_out(SqlOperations(dialect, "cbstore", "ours", None).apply(FAILED), [error("57P01")])
    assert str(raised.value).startswith(f"table {place}: ")


@pytest.mark.parametrize(("target", "form"), [(Permit("b", 6), "closed"), ("b", "by_name"), (PROBE, None)])
def test_the_report_of_a_guarded_call_is_a_shorter_statement(
    queries: SqlOperations, target: str | Permit, form: str | None
) -> None:
    reports = (
        commands.record_failure(target, POLICY, 1, None, None),
        commands.record_success(target, POLICY, None, None),
    )
    for report in reports:
        asked, _ = carried_out(queries.apply(report), [[VALUES]])
        whole = queries._statements.update[report.operation]
        assert asked[0].statement is queries._statements.short.get((report.operation, form), whole)
        assert (asked[0].statement is whole) is (form is None)
