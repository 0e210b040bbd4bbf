"""What a driver's error means: which of the library's errors it becomes, and whether to try again at once."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import sqlalchemy.exc

from cbstore_sql.errors import SchemaError, StoreConflictError, StoreError, StoreUnavailableError

# Undefined table, undefined column, invalid schema name.
_SCHEMA_STATES = frozenset({"42P01", "42703", "3F000"})

# Serialization failure, deadlock detected: rolled back whole, so nothing was applied.
_CONFLICT_STATES = frozenset({"40001", "40P01"})

# Insufficient privilege.
_DENIED_STATE = "42501"

_SCHEMA_TEXTS = ("no such table", "no such column", "has no column named")
_BUSY_TEXTS = ("database is locked", "database table is locked", "database schema is locked")


def is_conflict(error: BaseException) -> bool:
    """Whether a concurrent writer made the statement fail, with nothing applied: to be repeated at once."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(_BUSY_TEXTS)
    return _sqlstate(error) in _CONFLICT_STATES


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


def raise_translated(error: Exception, place: str) -> NoReturn:
    """Raise the library's error for a driver's, and any other as it is; see `translated`."""
    if isinstance(error, _driver_errors()):
        raise _translate(error, place) from error
    raise error


def _driver_errors() -> tuple[type[BaseException], ...]:
    """Return what a driver or the pool raises."""
    return (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, *_psycopg("Error"))


def _translate(error: BaseException, place: str) -> StoreError:
    state = _sqlstate(error)
    if state in _SCHEMA_STATES or _says(error, _SCHEMA_TEXTS):
        return SchemaError(f"{place} is missing or outdated: run 'cbstore migrate' (or 'alembic upgrade head')")
    if is_conflict(error):
        return StoreConflictError(f"{place}: other writers won every repetition")
    if state == _DENIED_STATE:
        return StoreError(f"{place}: the database role lacks SELECT, INSERT, UPDATE or DELETE on it")
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return StoreUnavailableError(f"{place}: no connection became free in the pool", applied=False)
    if _is_unavailable(error):
        code = f" ({state})" if state else ""
        return StoreUnavailableError(f"{place}: the database cannot be reached or does not answer{code}")
    return StoreError(f"{place}: the database refused the statement ({state or type(error).__name__})")


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, (sqlite3.OperationalError, *_psycopg("OperationalError", "InterfaceError")))


def _sqlstate(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None)


def _psycopg(*names: str) -> tuple[type[BaseException], ...]:
    """Return psycopg's exceptions of these names: none where nothing has imported it, so that SQLite does without."""
    psycopg = sys.modules.get("psycopg")
    return tuple(getattr(psycopg, name) for name in names) if psycopg else ()


def _says(error: BaseException, texts: tuple[str, ...]) -> bool:
    return isinstance(error, sqlite3.OperationalError) and any(text in str(error) for text in texts)
