"""A classification of failed statements, and a policy that tells whether to repeat a statement. No I/O.

If an error has a code (SQLSTATE), the code tells what happened to the statement. If an error has no code, the time of
the error tells: a statement that was not sent had no effect, and a statement that was sent may have had an effect.
"""

from __future__ import annotations

import sqlite3
import sys
from enum import Enum, auto
from time import monotonic

import sqlalchemy.exc

from cbstore_sql.deadline import remaining
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.runtime.rng import rng
from cbstore_sql.stores.sql import sqlstates


class NotSentError(Exception):
    """An error that was raised before any part of the statement was sent.

    Args:
        reason: The error that prevented sending.

    Attributes:
        reason: The error that prevented sending.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


class StaleConnectionError(Exception):
    """The error of a connection that no longer leads to the database; another connection may work.

    The message of the error is written for the user of the library.
    """


class LateError(Exception):
    """The error of a statement that did not end by the deadline.

    Args:
        sent: Whether the statement had been sent before the deadline passed.

    Attributes:
        sent: Whether the statement had been sent before the deadline passed.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class Effect(Enum):
    """The effect of a second execution of a statement, after the database has applied the first execution."""

    READ_ONLY = auto()
    """The statement only reads."""

    IDEMPOTENT = auto()
    """The statement writes, and the second execution changes nothing more."""

    NOT_IDEMPOTENT = auto()
    """The second execution changes the breaker once more, for example counts a failure twice."""


class StatementOutcome(Enum):
    """The outcome of a failed statement: whether the database applied the statement, and how to retry."""

    NEVER = auto()
    """The database refused the statement. Do not retry: the database would refuse the statement again."""

    CONFLICT = auto()
    """A concurrent writer won, so there was no effect. Retry after milliseconds, in a READ COMMITTED transaction."""

    CREATED = auto()
    """A concurrent writer created the row, so there was no effect. Retry once, without a pause."""

    BUSY = auto()
    """Another session holds a lock on the row, or the server cancelled the statement. There was no effect. Retry until
    the deadline."""

    GONE = auto()
    """There was no connection, or the connection was lost. There was no effect. Retry on another connection."""

    READ_ONLY = auto()
    """The server is read-only, so there was no effect. Retry on a new connection, which may lead to another server."""

    OUTDATED = auto()
    """The table was altered after the statement was prepared, so there was no effect. Retry once, without a pause, on
    a new connection."""

    SHARED_SESSION = auto()
    """A pooler switched to a server session that does not have the prepared statement. There was no effect. Retry
    without a pause and without the prepared statement."""

    STALE = auto()
    """The connection was closed before a fork, or leads to a file that was replaced. There was no effect. Retry on
    another connection without a pause."""

    UNKNOWN = auto()
    """The statement was sent, but the answer was lost. The statement may have had an effect. Retry only if a second
    execution changes nothing."""


_STATES_OF = {
    StatementOutcome.CONFLICT: (sqlstates.SERIALIZATION_FAILURE, sqlstates.DEADLOCK_DETECTED),
    StatementOutcome.BUSY: (sqlstates.LOCK_NOT_AVAILABLE, sqlstates.QUERY_CANCELED),
    StatementOutcome.READ_ONLY: (sqlstates.READ_ONLY_SQL_TRANSACTION,),
    StatementOutcome.OUTDATED: (sqlstates.FEATURE_NOT_SUPPORTED,),
    StatementOutcome.GONE: (
        sqlstates.IDLE_SESSION_TIMEOUT,
        sqlstates.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        sqlstates.TRANSACTION_TIMEOUT,
    ),
    StatementOutcome.SHARED_SESSION: (sqlstates.INVALID_SQL_STATEMENT_NAME, sqlstates.DUPLICATE_PREPARED_STATEMENT),
    StatementOutcome.UNKNOWN: (
        sqlstates.ADMIN_SHUTDOWN,
        sqlstates.CRASH_SHUTDOWN,
        sqlstates.CANNOT_CONNECT_NOW,
        sqlstates.STATEMENT_COMPLETION_UNKNOWN,
    ),
    StatementOutcome.CREATED: (sqlstates.UNIQUE_VIOLATION,),
}
_BY_STATE = {state: outcome for outcome, states in _STATES_OF.items() for state in states}

# PgBouncer reports these errors as protocol violations. It did not forward the statement to the server.
_NEVER_FORWARDED = ("query_wait_timeout", "server login has been failing")

_BUSY_TEXTS = ("database is locked", "database table is locked", "database schema is locked", "interrupted")


def classify(error: BaseException, *, sent: bool) -> StatementOutcome:
    """Return what happened to a statement that failed with an error.

    Args:
        error: The error of the driver or of the pool.
        sent: Whether the statement had been sent before the error; ``False`` if the error was raised while the driver
            connected or prepared the statement.
    """
    if isinstance(error, StaleConnectionError):
        return StatementOutcome.STALE
    if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error):
        return StatementOutcome.STALE
    if isinstance(error, sqlite3.Error):
        return StatementOutcome.CONFLICT if is_busy(error) else StatementOutcome.NEVER
    verdict = _by_state(error, sqlstate(error))
    return StatementOutcome.GONE if verdict is StatementOutcome.UNKNOWN and not sent else verdict


def _by_state(error: BaseException, state: str | None) -> StatementOutcome:
    if state is None:
        return (
            StatementOutcome.UNKNOWN
            if isinstance(error, psycopg_errors("OperationalError", "InterfaceError"))
            else StatementOutcome.NEVER
        )
    if state == sqlstates.PROTOCOL_VIOLATION and any(text in str(error) for text in _NEVER_FORWARDED):
        return StatementOutcome.GONE
    if state.startswith(sqlstates.CONNECTION_CLASS):
        return StatementOutcome.UNKNOWN
    return _BY_STATE.get(state, StatementOutcome.NEVER)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether SQLite failed without effect because of another writer's lock or because of an interrupt.

    Args:
        error: The error of SQLite.
    """
    return str(error).startswith(_BUSY_TEXTS)


def classify_error(error: BaseException) -> StatementOutcome:
    """Return what happened to a statement; like `classify`, but `NotSentError` tells whether the statement was sent.

    Args:
        error: The error that the execution of the statement raised.
    """
    if isinstance(error, NotSentError):
        return classify(error.reason, sent=False)
    return classify(error, sent=True)


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error, or ``None`` if the error does not come from a PostgreSQL server.

    Args:
        error: The error to examine, of any class.
    """
    return getattr(error, "sqlstate", None)


def driver_errors() -> tuple[type[BaseException], ...]:
    """Return the base classes of the errors that a driver or a pool raises."""
    return (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, *psycopg_errors("Error"))


def psycopg_errors(*names: str) -> tuple[type[BaseException], ...]:
    """Return the exception classes of psycopg that have these names; ``()`` if the process has not imported psycopg.

    Args:
        *names: The names of the classes.
    """
    psycopg = sys.modules.get("psycopg")
    return tuple(getattr(psycopg, name) for name in names) if psycopg else ()


_CONFLICT_ATTEMPTS = 20
_CONFLICT_SECONDS = 5.0
_CONFLICT = ExponentialBackoff(0.002, 0.04, jitter=(0.0, 1.0))

# Each open session may lack the prepared statement, so a statement may fail once for each session.
_ELSEWHERE_ATTEMPTS = 20

_FIRST_PAUSE = 0.02
_LATER = ExponentialBackoff(2.0 * _FIRST_PAUSE, 0.5)

_LOST = frozenset({StatementOutcome.GONE, StatementOutcome.READ_ONLY, StatementOutcome.UNKNOWN})
_ELSEWHERE = frozenset({StatementOutcome.SHARED_SESSION, StatementOutcome.STALE})
_ONCE = frozenset({StatementOutcome.CREATED, StatementOutcome.OUTDATED})

ON_ALL_CONNECTIONS = frozenset({StatementOutcome.READ_ONLY, StatementOutcome.OUTDATED})
"""The failures that concern every connection of a pool, because all connections lead to the same server and table."""


class RetryPolicy:
    """A counter of the failures of one statement that tells when to retry.

    If the database is unreachable, read-only or busy, the policy allows retries until the deadline, after growing
    pauses. Without a deadline, the policy allows one retry after a lost connection or on a read-only server. If
    another session held a lock, the policy allows no retry without a deadline.

    Args:
        effect: What a second execution of the statement changes.
    """

    def __init__(self, effect: Effect) -> None:
        self._effect = effect
        self._began = monotonic()
        self._failures = dict.fromkeys(StatementOutcome, 0)

    def pause_after(self, verdict: StatementOutcome) -> float | None:
        """Count a failure and return the pause before the next attempt.

        Args:
            verdict: What happened to the statement in the last attempt.

        Returns:
            Seconds to wait, or ``None`` if the caller must not retry.
        """
        if verdict is StatementOutcome.UNKNOWN and self._effect is Effect.NOT_IDEMPOTENT:
            return None
        self._failures[verdict] += 1
        left = remaining()
        pause = self._pause(verdict, self._failures[verdict], lasts=left is not None)
        return None if pause is None or (left is not None and pause >= left) else pause

    def _pause(self, verdict: StatementOutcome, failures: int, *, lasts: bool) -> float | None:
        if verdict is StatementOutcome.CONFLICT:
            patient = failures < _CONFLICT_ATTEMPTS and monotonic() - self._began < _CONFLICT_SECONDS
            return _CONFLICT.after(failures - 1) if patient else None
        if verdict in _ONCE:
            return 0.0 if failures == 1 else None
        if verdict in _ELSEWHERE:
            return 0.0 if failures < _ELSEWHERE_ATTEMPTS else None
        if verdict in _LOST and failures == 1:
            return _FIRST_PAUSE * rng.random()
        if lasts and verdict is not StatementOutcome.NEVER:
            return _LATER.after(failures - 1)
        return None
