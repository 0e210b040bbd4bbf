"""Which of the library's errors a driver's becomes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import sqlalchemy.exc

from cbstore_sql.deadline import remaining
from cbstore_sql.errors import SchemaError, StoreConflictError, StoreError, StoreUnavailableError
from cbstore_sql.stores.sql.retry import (
    Effect,
    LateError,
    NotSentError,
    StatementOutcome,
    classify_error,
    driver_errors,
    psycopg_errors,
    sqlstate,
)

# Undefined table, undefined column, invalid schema name.
_SCHEMA_STATES = frozenset({"42P01", "42703", "3F000"})

# Insufficient privilege.
_DENIED_STATE = "42501"

# Disk full, out of memory, program limit exceeded.
_FULL = {
    "53100": "the database's disk is full",
    "53200": "the database is out of memory",
    "54000": "a limit of the database is exceeded",
}

_SCHEMA_TEXTS = ("no such table", "no such column", "has no column named")


def is_conflict(error: BaseException) -> bool:
    """Whether a concurrent writer made the statement fail, with nothing applied: to be repeated at once."""
    return classify_error(error) is StatementOutcome.CONFLICT


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn what a driver raises into the library's errors, with the driver's as their cause.

    Args:
        place: What the table is called in messages.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever is no driver's is raised again as it is
        raise_translated(error, place)


def raise_translated(
    error: Exception, place: str, effect: Effect = Effect.NOT_IDEMPOTENT, *, lost: bool = False
) -> NoReturn:
    """Raise the library's error for a driver's, and any other as it is; see `translated`.

    Args:
        error: What was raised.
        place: What the table is called in messages.
        effect: What the statement does.
        lost: Whether it, or an earlier attempt at the same, may have been applied.
    """
    if isinstance(error, LateError):
        applied = None if (error.sent or lost) and effect is not Effect.READ_ONLY else False
        raise StoreUnavailableError(f"{place}: no answer by the deadline", applied=applied) from None
    reason = error.reason if isinstance(error, NotSentError) else error
    if isinstance(reason, driver_errors()):
        raise _translate(reason, StatementOutcome.UNKNOWN if lost else classify_error(error), place, effect) from reason
    raise reason


def _translate(error: BaseException, verdict: StatementOutcome, place: str, effect: Effect) -> StoreError:
    state = sqlstate(error)
    # Which of SQLite's many reasons it was (a full disk, a read-only file), from Python 3.11 on.
    named = state or getattr(error, "sqlite_errorname", None)
    code = f" ({named})" if named else ""
    if state in _SCHEMA_STATES or _says(error, _SCHEMA_TEXTS):
        return SchemaError(f"{place} is missing or outdated: run 'cbstore migrate' (or 'alembic upgrade head')")
    if verdict is StatementOutcome.CONFLICT and remaining() != 0.0:
        return StoreConflictError(f"{place}: other writers won every repetition")
    if state == _DENIED_STATE:
        return StoreError(f"{place}: the database role lacks SELECT, INSERT, UPDATE or DELETE on it")
    if verdict is StatementOutcome.NEVER and not _is_unavailable(error):
        return StoreError(f"{place}: the database refused the statement ({state or type(error).__name__})")
    unknown = verdict is StatementOutcome.UNKNOWN or (
        isinstance(error, sqlite3.Error) and verdict is not StatementOutcome.CONFLICT
    )
    applied = None if unknown and effect is not Effect.READ_ONLY else False
    return StoreUnavailableError(f"{place}: {_why(error, verdict, state)}{code}", applied=applied)


def _why(error: BaseException, verdict: StatementOutcome, state: str | None) -> str:
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return "no connection became free in the pool"
    if verdict is StatementOutcome.CONFLICT:
        return "other writers held it until the deadline"
    if verdict is StatementOutcome.READ_ONLY:
        return "the server is read-only"
    if "certificate" in str(error):
        return "the database's TLS certificate is not accepted, or no certificate could be read"
    return _FULL.get(state or "", "the database cannot be reached or does not answer")


def _is_unavailable(error: BaseException) -> bool:
    kinds = (sqlite3.OperationalError, sqlalchemy.exc.TimeoutError)
    return isinstance(error, (*kinds, *psycopg_errors("OperationalError", "InterfaceError")))


def _says(error: BaseException, texts: tuple[str, ...]) -> bool:
    return isinstance(error, sqlite3.OperationalError) and any(text in str(error) for text in texts)
