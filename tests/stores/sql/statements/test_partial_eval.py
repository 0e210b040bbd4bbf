"""Tests of specialized statements: which commands have one, and that each gives the result of the whole rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from cbstore_sql import BreakerPolicy, FailureRate, Permit
from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.history import append
from cbstore_sql.core.model import STATES, Row
from cbstore_sql.core.rules import OPERATIONS, UNFENCED
from cbstore_sql.stores.sql.statements.partial_eval import (
    SPECIALIZATIONS,
    Specialization,
    Value,
    choose,
    plain,
    specialization_for,
)

POLICY = BreakerPolicy()
GROWING = BreakerPolicy(backoff_multiplier=2.0)
RATE = BreakerPolicy(trip=FailureRate(0.1, 0.5, 100.0))
CLOSED, PROBE = Permit("b", 3), Permit("b", 3, "token")
NOW = 1000.0


def failure(target: str | Permit, policy: BreakerPolicy = POLICY, successes: int = 0) -> Command:
    return commands.record_failure(target, policy, 1, NOW, 0.5, successes=successes)


def success(target: str | Permit, expected: str | None = None, policy: BreakerPolicy = POLICY) -> Command:
    return commands.record_success(target, policy, expected, NOW)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (failure(CLOSED), "closed"),
        (failure("b"), "by_name"),
        (failure(CLOSED, successes=2), "closed.carried"),
        (failure(CLOSED, RATE), "closed.score"),
        (failure("b", RATE, 1), "by_name.score.carried"),
        (success("b", policy=RATE), "by_name.score"),
        (failure(CLOSED, BreakerPolicy(trip=FailureRate(1e-9, 0.9, 10.0))), None),
        (failure(PROBE), None),
        (failure(CLOSED, GROWING), None),
        (success(CLOSED), "closed"),
        (success("b"), "by_name"),
        (success(PROBE), None),
        (success(CLOSED, "closed"), None),
        (commands.claim_probe("b", POLICY, None, NOW), None),
        (commands.release_probe(PROBE, NOW), None),
        (commands.reset("b", NOW), None),
    ],
)
def test_specialization_for_selects_the_form_for_a_command(command: Command, name: str | None) -> None:
    assert specialization_for(command.operation, command.parameters) == name


def with_a_lease_for_every_token(row: Row) -> Row:
    """No rule leaves a token without a lease, or a lease without a token."""
    return row if row.probe_token else row._replace(probe_until=0.0)


rows = st.builds(
    Row()._replace,
    state=st.sampled_from(STATES),
    previous_state=st.sampled_from(STATES),
    generation=st.integers(2, 4),
    failure_count=st.integers(0, 3),
    success_count=st.integers(0, 2),
    last_failure_time=st.sampled_from([0.0, NOW]),
    open_until=st.sampled_from([0.0, NOW - 1.0, NOW, NOW + 100.0]),
    open_seconds=st.sampled_from([0.0, 5.0]),
    probe_token=st.sampled_from(["", "token", "other"]),
    probe_until=st.sampled_from([NOW - 1.0, NOW + 1.0]),
    score=st.sampled_from([0.0, 0.3, 0.9]),
    score_generation=st.integers(2, 4),
    closed_at=st.sampled_from([0.0, NOW - 1.0]),
    history=st.sampled_from(["", "1000000Nco;"]),
).map(with_a_lease_for_every_token)
tests: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(dict, failure_threshold=st.integers(1, 3)),
    st.builds(dict, trip=st.sampled_from([FailureRate(0.1, 0.5, 100.0), FailureRate(0.3, 0.6, 10.0)])),
)
policies = st.builds(
    lambda test, **others: BreakerPolicy(**test, **others),
    tests,
    recovery_timeout=st.sampled_from([0.0, 60.0]),
    success_threshold=st.integers(1, 3),
    recovery_jitter=st.sampled_from([0.0, 0.3]),
)
reports = st.one_of(
    st.builds(
        commands.record_failure,
        st.sampled_from(["b", CLOSED]),
        policies,
        st.integers(1, 2),
        st.just(NOW),
        st.just(0.5),
        successes=st.integers(0, 2),
    ),
    st.builds(commands.record_success, st.sampled_from(["b", CLOSED]), policies, st.none(), st.just(NOW)),
)


def by_its_form(row: Row, command: Command) -> Row | None:
    """Return the row after the specialized statement of a command."""
    name = specialization_for(command.operation, command.parameters)
    assert name is not None
    form = SPECIALIZATIONS[command.operation][name]
    terms = {column: Value(value) for column, value in {**row._asdict(), **form.row, **form.implied}.items()}
    operation = OPERATIONS[command.operation]
    change = operation(SimpleNamespace(**terms), SimpleNamespace(**given_by(form, command)), choose, append_values)
    holds = plain(change.where) and all(getattr(row, column) == value for column, value in form.row.items())
    return row._replace(**{column: plain(value) for column, value in change.values.items()}) if holds else None


def append_values(*arguments: Any) -> Value:
    """Append a history entry with known values."""
    return Value(append(*(plain(argument) for argument in arguments)))


def given_by(form: Specialization, command: Command) -> dict[str, Value]:
    known = {name: Value(value, form.excluded.get(name)) for name, value in command.parameters.items()}
    return known | {name: Value(value) for name, value in form.fixed.items()}


@settings(max_examples=500)
@given(rows, reports)
def test_a_specialized_statement_gives_the_same_result_as_the_whole_rule(row: Row, command: Command) -> None:
    assert by_its_form(row, command) == command.apply_to(row, NOW)


@given(rows, reports)
def test_a_rule_changes_only_rows_that_match_the_conditions_of_its_specialized_form(row: Row, command: Command) -> None:
    form = SPECIALIZATIONS[command.operation][str(specialization_for(command.operation, command.parameters))]
    if command.apply_to(row, NOW) is not None:
        assert all(getattr(row, column) == value for column, value in form.row.items())
        assert all(getattr(row, column) == value for column, value in form.implied.items())


def test_a_report_without_a_fence_uses_only_the_form_by_name() -> None:
    for operation in SPECIALIZATIONS:
        command = failure(CLOSED) if operation == "record_failure" else success(CLOSED)
        assert command.parameters["generation"] != UNFENCED
        assert specialization_for(operation, {**command.parameters, "generation": UNFENCED}) == "by_name"


COLUMN = sa.column("x", sa.Integer)
UNKNOWN = Value(COLUMN) > 1


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (Value(True) & UNKNOWN, "x > 1"),
        (UNKNOWN & Value(True), "x > 1"),
        (Value(False) & UNKNOWN, "False"),
        (UNKNOWN & Value(False), "False"),
        (Value(False) | UNKNOWN, "x > 1"),
        (UNKNOWN | Value(False), "x > 1"),
        (Value(True) | UNKNOWN, "True"),
        (UNKNOWN | Value(True), "True"),
        (UNKNOWN & (Value(COLUMN) <= 3), "x > 1 AND x <= 3"),
        (UNKNOWN | (Value(COLUMN) < 0), "x > 1 OR x < 0"),
        (Value(COLUMN) == Value(1), "x = 1"),
        (Value(COLUMN) != 1, "x != 1"),
        (Value(2) >= 1, "True"),
        (Value(2) < 1, "False"),
        (Value(2) <= 2, "True"),
        (Value(2) + 1, "3"),
        (Value(COLUMN) + 1, "x + 1"),
        (Value(COLUMN) * Value(2), "x * 2"),
        (Value(COLUMN, UNFENCED) == UNFENCED, "False"),
        (Value(COLUMN, UNFENCED) == 1, "x = 1"),
        (Value(1) == Value(COLUMN, UNFENCED), "x = 1"),
        (choose(Value(True), 1, Value(COLUMN)), "1"),
        (choose(Value(False), 1, Value(COLUMN)), "x"),
        (choose(UNKNOWN, 1, Value(1)), "1"),
        (choose(UNKNOWN, Value(COLUMN), 1), "CASE WHEN (x > 1) THEN x ELSE 1 END"),
        (choose(UNKNOWN, 1, 2), "CASE WHEN (x > 1) THEN 1 ELSE 2 END"),
    ],
)
def test_known_values_are_evaluated_and_the_rest_becomes_sql(term: Any, text: str) -> None:
    value = plain(term)
    if isinstance(value, sa.ClauseElement):
        value = value.compile(compile_kwargs={"literal_binds": True})
    assert str(value) == text
