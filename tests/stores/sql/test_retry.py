"""Tests of which failures lead to another attempt, and how often."""

from __future__ import annotations

import sqlite3
import sys

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, Permit
from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.deadline import within
from cbstore_sql.runtime.rng import rng
from cbstore_sql.stores.sql import retry as retries
from cbstore_sql.stores.sql.operations import repeated
from cbstore_sql.stores.sql.retry import (
    Effect,
    NotSentError,
    RetryPolicy,
    StatementOutcome,
    classify,
    classify_error,
    psycopg_errors,
)
from tests.breaker.drivers import Clock

AT_ONCE_AND_AGAIN = 100


def failed(sqlstate: str | None, text: str = "") -> Exception:
    """Return the error that psycopg raises for an SQLSTATE."""
    if sqlstate is None:
        return psycopg.OperationalError(text)
    try:
        error = psycopg.errors.lookup(sqlstate)(text)
    except KeyError:
        error = psycopg.DatabaseError(text)
    error.sqlstate = sqlstate
    return error


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ("40001 40P01", StatementOutcome.CONFLICT),
        ("23505", StatementOutcome.CREATED),
        ("55P03 57014", StatementOutcome.BUSY),
        ("25006", StatementOutcome.READ_ONLY),
        ("0A000", StatementOutcome.OUTDATED),
        ("57P05 25P03 25P04", StatementOutcome.GONE),
        ("26000 42P05", StatementOutcome.SHARED_SESSION),
        ("57P01 57P02 57P03 08000 08003 08006 40003", StatementOutcome.UNKNOWN),
        ("53100 53200 54000", StatementOutcome.NEVER),
        ("42P01 42703 42501 22001 22P02 23514", StatementOutcome.NEVER),
    ],
)
def test_the_sqlstate_decides_the_outcome_of_a_statement(states: str, verdict: StatementOutcome) -> None:
    for state in states.split():
        assert classify(failed(state), sent=True) is verdict, state


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("query_wait_timeout", StatementOutcome.GONE),
        ("server login has been failing, try again later (server_login_retry)", StatementOutcome.GONE),
        ("server conn crashed?", StatementOutcome.UNKNOWN),
    ],
)
def test_the_text_of_a_pooler_s_error_decides_the_outcome(text: str, verdict: StatementOutcome) -> None:
    assert classify(failed("08P01", text), sent=True) is verdict
    assert classify(failed("08006", text), sent=True) is StatementOutcome.UNKNOWN


def test_the_outcome_of_an_error_without_a_code_depends_on_whether_the_statement_was_sent() -> None:
    assert classify(failed(None, "consuming input failed"), sent=True) is StatementOutcome.UNKNOWN
    assert classify(failed(None, "too many clients"), sent=False) is StatementOutcome.GONE
    assert classify(failed("57P01"), sent=False) is StatementOutcome.GONE
    assert classify(sa.exc.TimeoutError(), sent=False) is StatementOutcome.NEVER
    assert classify(ValueError(), sent=True) is StatementOutcome.NEVER


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("database is locked", StatementOutcome.CONFLICT),
        ("database table is locked: breakers", StatementOutcome.CONFLICT),
        ("database schema is locked: main", StatementOutcome.CONFLICT),
        ("disk I/O error", StatementOutcome.NEVER),
        ("database disk image is malformed", StatementOutcome.NEVER),
    ],
)
def test_the_text_of_a_sqlite_error_decides_the_outcome(text: str, verdict: StatementOutcome) -> None:
    assert classify(sqlite3.OperationalError(text), sent=True) is verdict


def test_a_statement_that_failed_before_it_was_sent_had_no_effect() -> None:
    assert classify_error(NotSentError(failed(None))) is StatementOutcome.GONE
    assert classify_error(failed(None)) is StatementOutcome.UNKNOWN


def test_psycopg_errors_is_empty_if_psycopg_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert psycopg_errors("Error", "OperationalError") == (psycopg.Error, psycopg.OperationalError)
    monkeypatch.delitem(sys.modules, "psycopg")
    assert psycopg_errors("Error") == ()


def test_not_sent_error_does_not_show_the_driver_s_text() -> None:
    assert str(NotSentError(psycopg.OperationalError("password"))) == ""


def attempts(verdict: StatementOutcome, effect: Effect = Effect.NOT_IDEMPOTENT, most: int = AT_ONCE_AND_AGAIN) -> int:
    """Return how often a statement is executed that fails in the same way each time."""
    patience = RetryPolicy(effect)
    return next((number for number in range(1, most) if patience.pause_after(verdict) is None), most)


def test_without_a_deadline_a_lost_connection_is_retried_once() -> None:
    assert attempts(StatementOutcome.GONE) == 2
    assert attempts(StatementOutcome.READ_ONLY) == 2
    assert attempts(StatementOutcome.UNKNOWN, Effect.IDEMPOTENT) == 2
    assert attempts(StatementOutcome.UNKNOWN, Effect.READ_ONLY) == 2
    assert attempts(StatementOutcome.BUSY) == 1


def test_within_a_deadline_a_statement_that_had_no_effect_is_repeated() -> None:
    with within(60.0):
        for verdict in (StatementOutcome.GONE, StatementOutcome.READ_ONLY, StatementOutcome.BUSY):
            assert attempts(verdict) == AT_ONCE_AND_AGAIN
        assert attempts(StatementOutcome.UNKNOWN, Effect.IDEMPOTENT) == AT_ONCE_AND_AGAIN


def test_a_pause_that_would_outlast_the_deadline_is_not_made() -> None:
    with within(0.0):
        for verdict in StatementOutcome:
            assert attempts(verdict, Effect.IDEMPOTENT) == 1


def test_a_count_with_an_unknown_effect_is_never_repeated() -> None:
    with within(60.0):
        assert attempts(StatementOutcome.UNKNOWN, Effect.NOT_IDEMPOTENT) == 1


def test_a_statement_that_would_fail_again_is_not_repeated() -> None:
    with within(60.0):
        assert attempts(StatementOutcome.NEVER, Effect.READ_ONLY) == 1
        assert attempts(StatementOutcome.CREATED) == 2


def pauses(verdict: StatementOutcome, number: int) -> list[float | None]:
    patience = RetryPolicy(Effect.IDEMPOTENT)
    return [patience.pause_after(verdict) for _ in range(number)]


def test_pauses_grow_to_a_limit_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rng, "random", lambda: 0.5)
    assert pauses(StatementOutcome.CONFLICT, 3) == pytest.approx([0.001, 0.002, 0.004])
    with within(60.0):
        assert pauses(StatementOutcome.GONE, 4) == pytest.approx([0.01, 0.06, 0.12, 0.24])
        assert pauses(StatementOutcome.BUSY, 2) == pytest.approx([0.03, 0.06])
        assert pauses(StatementOutcome.UNKNOWN, 2000)[-1] == 0.375


def test_retries_after_conflicts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(retries, "monotonic", clock)
    assert attempts(StatementOutcome.CONFLICT) == attempts(StatementOutcome.SHARED_SESSION) == 20
    patience = RetryPolicy(Effect.NOT_IDEMPOTENT)
    clock.advance(4.5)
    assert patience.pause_after(StatementOutcome.CONFLICT) is not None
    clock.advance(0.5)
    assert patience.pause_after(StatementOutcome.CONFLICT) is None


OWNER = Permit("b", 3, "token")
POLICY = BreakerPolicy()
TWO_PROBES = BreakerPolicy(success_threshold=2)


@pytest.mark.parametrize(
    ("command", "effect"),
    [
        (commands.claim_probe("b", POLICY, None, None), Effect.IDEMPOTENT),
        (commands.release_probe(OWNER, None), Effect.IDEMPOTENT),
        (commands.renew_probe(OWNER, POLICY, None), Effect.IDEMPOTENT),
        (commands.force_open("b", 1.0, None), Effect.IDEMPOTENT),
        (commands.reset("b", None), Effect.IDEMPOTENT),
        (commands.record_success(OWNER, TWO_PROBES, None, None), Effect.IDEMPOTENT),
        (commands.record_success("b", POLICY, None, None), Effect.IDEMPOTENT),
        (commands.record_success("b", TWO_PROBES, None, None), Effect.NOT_IDEMPOTENT),
        (commands.record_failure(OWNER, POLICY, 1, None, None), Effect.NOT_IDEMPOTENT),
        (commands.record_failure("b", POLICY, 1, None, None), Effect.NOT_IDEMPOTENT),
        (commands.increment_failure("b"), Effect.NOT_IDEMPOTENT),
        (commands.replace_state("b", {"state": "open"}, 1.0, None), Effect.IDEMPOTENT),
        (commands.replace_state("b", {"state": "open"}, 1.0, "closed"), Effect.NOT_IDEMPOTENT),
    ],
)
def test_the_effect_of_repeating_a_command_is_known(command: Command, effect: Effect) -> None:
    assert repeated(command) is effect
