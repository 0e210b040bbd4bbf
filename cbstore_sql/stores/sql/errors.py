"""The translation of database driver errors into the errors of this library."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import sqlalchemy.exc

from cbstore_sql.deadline import remaining
from cbstore_sql.errors import (
    CircuitBreakerError,
    SchemaError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    UnstorableNameError,
)
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.stores.sql import sqlstates
from cbstore_sql.stores.sql.reasons import MIGRATE, reason
from cbstore_sql.stores.sql.retry import (
    Effect,
    LateError,
    NotSentError,
    StaleConnectionError,
    StatementOutcome,
    classify_error,
    driver_errors,
    psycopg_errors,
    sqlstate,
)

_SCHEMA_STATES = frozenset(
    {sqlstates.UNDEFINED_TABLE, sqlstates.UNDEFINED_COLUMN, sqlstates.INVALID_SCHEMA_NAME, sqlstates.UNDEFINED_OBJECT}
)
_SCHEMA_TEXTS = ("no such table", "no such column", "has no column named")
_ENCODING_STATES = frozenset({sqlstates.UNTRANSLATABLE_CHARACTER, sqlstates.CHARACTER_NOT_IN_REPERTOIRE})


def is_conflict(error: BaseException) -> bool:
    """Return whether a statement failed because of a concurrent writer. It had no effect, and a repetition may succeed.

    Args:
        error: The error of the statement.
    """
    return classify_error(error) is StatementOutcome.CONFLICT


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Run a block, and raise this library's errors in place of driver errors. The driver error becomes the cause.

    Args:
        place: The name of the table, for messages.

    Raises:
        StoreError: A driver error was raised in the block.
        UnstorableNameError: The database's encoding lacks a character of a name.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - an error that is not a driver's is raised again as it is
        raise_translated(error, place)


def raise_translated(
    error: Exception, place: str, effect: Effect = Effect.NOT_IDEMPOTENT, *, lost: bool = False
) -> NoReturn:
    """Raise this library's error in place of a driver error. Any other error is raised unchanged.

    Args:
        error: The error that the statement raised.
        place: The name of the table, for messages.
        effect: What a second execution of the statement changes. If the statement only reads, the error says that
            nothing was written.
        lost: Whether the database may have applied the statement in this attempt or in an earlier attempt.

    Raises:
        StoreUnavailableError: The database cannot be reached, or did not answer by the deadline.
        StoreConflictError: Concurrent writers made every attempt fail.
        SchemaError: The table is missing or outdated.
        UnstorableNameError: The encoding of the database or of the connection lacks a character of a name.
        StoreError: The database refused the statement for another reason.
    """
    if isinstance(error, LateError):
        applied = None if (error.sent or lost) and effect is not Effect.READ_ONLY else False
        raise _unavailable(place, "no answer by the deadline", applied) from error.__cause__
    cause = error.reason if isinstance(error, NotSentError) else error
    if isinstance(cause, UnicodeEncodeError):
        raise UnstorableNameError(f"{place}: the connection's encoding has no such characters") from cause
    if isinstance(cause, StaleConnectionError):
        raise _unavailable(place, str(cause), applied=False) from cause
    if isinstance(cause, driver_errors()):
        outcome = StatementOutcome.UNKNOWN if lost else classify_error(error)
        raise _translate(cause, outcome, place, effect) from cause
    if isinstance(cause, CircuitBreakerError):
        raise cause
    if cause is not error and not from_signal_handler(cause):
        # A hook of the application's engine raised an error, or no thread could start.
        raise _unavailable(place, f"no connection was opened: {type(cause).__name__}", applied=False) from cause
    raise cause


def _unavailable(place: str, why: str, applied: bool | None) -> StoreUnavailableError:
    return StoreUnavailableError(f"{place}: {why}", applied=applied, reason=why)


def _translate(error: BaseException, outcome: StatementOutcome, place: str, effect: Effect) -> StoreError:
    state = sqlstate(error)
    # From Python 3.11 on, the errors of SQLite also have a name.
    named = state or getattr(error, "sqlite_errorname", None)
    code = f" ({named})" if named else ""
    if state in _SCHEMA_STATES or _says(error, _SCHEMA_TEXTS):
        return SchemaError(f"{place} is missing or outdated: {MIGRATE}")
    if state in _ENCODING_STATES:
        return UnstorableNameError(f"{place}: the database's encoding has no such characters")
    if outcome is StatementOutcome.CONFLICT and remaining() != 0.0:
        return StoreConflictError(f"{place}: other writers won every repetition")
    if state == sqlstates.INSUFFICIENT_PRIVILEGE:
        return StoreError(f"{place}: the database role lacks SELECT, INSERT, UPDATE or DELETE on it")
    if outcome is StatementOutcome.NEVER and not _is_unavailable(error):
        return StoreError(f"{place}: the database refused the statement ({state or type(error).__name__})")
    unknown = outcome is StatementOutcome.UNKNOWN or (
        isinstance(error, sqlite3.Error) and outcome is not StatementOutcome.CONFLICT and not _is_read_only(error)
    )
    applied = None if unknown and effect is not Effect.READ_ONLY else False
    why = "other writers held it until the deadline" if outcome is StatementOutcome.CONFLICT else reason(error, state)
    return _unavailable(place, why + code, applied)


def _is_unavailable(error: BaseException) -> bool:
    if isinstance(error, psycopg_errors("ProgrammingError")):
        # An error without a SQLSTATE comes from psycopg itself and is about the connection's options.
        return sqlstate(error) is None
    # For a damaged file, SQLite raises a DatabaseError. Subclasses such as IntegrityError are about the statement.
    if isinstance(error, sqlite3.DatabaseError) and type(error) is sqlite3.DatabaseError:
        return True
    kinds = (sqlite3.OperationalError, sqlalchemy.exc.TimeoutError)
    return isinstance(error, (*kinds, *psycopg_errors("OperationalError", "InterfaceError")))


def _is_read_only(error: BaseException) -> bool:
    return _says(error, ("attempt to write a readonly database",))


def _says(error: BaseException, texts: tuple[str, ...]) -> bool:
    return isinstance(error, sqlite3.OperationalError) and any(text in str(error) for text in texts)
