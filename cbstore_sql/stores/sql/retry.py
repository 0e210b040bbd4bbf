"""What happened to a statement that failed, and whether to repeat it. This module does no I/O.

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
    """Raised if an error occurred before any part of the statement was sent, so that the statement had no effect.

    Args:
        reason: The error that prevented the sending.

    Attributes:
        reason: The error that prevented the sending.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


class StaleConnectionError(Exception):
    """Raised if a connection no longer leads to the database, although another connection may work.

    Users of the library see the message of this error.
    """


class LateError(Exception):
    """Raised if a statement did not end by the deadline.

    Args:
        sent: Whether the statement was sent before the deadline passed, so that it may have had an effect.

    Attributes:
        sent: Whether the statement was sent before the deadline passed.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class Effect(Enum):
    """What a second execution of a statement changes, after the database has applied the first execution."""

    READ_ONLY = auto()
    """The statement only reads."""

    IDEMPOTENT = auto()
    """The statement writes, and the second execution changes nothing more."""

    NOT_IDEMPOTENT = auto()
    """The second execution changes the breaker once more, for example counts a failure twice."""


class StatementOutcome(Enum):
    """What happened to a statement that failed: whether the database applied it, and how to retry."""

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
    """Return what happened to a statement that failed: whether the database applied it, and how to retry.

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
    """Return whether SQLite refused a statement because another writer held a lock, or because of an interrupt.

    Such a statement had no effect.

    Args:
        error: The error of SQLite.
    """
    return str(error).startswith(_BUSY_TEXTS)


def classify_error(error: BaseException) -> StatementOutcome:
    """Return what happened to a statement that failed: whether the database applied it, and how to retry.

    A `NotSentError` means that the statement was not sent. With any other error, the statement may have been sent.

    Args:
        error: The error that the execution of the statement raised.
    """
    if isinstance(error, NotSentError):
        return classify(error.reason, sent=False)
    return classify(error, sent=True)


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's five-character code of an error (SQLSTATE); ``None`` if the error has no such code.

    Args:
        error: The error, of any class.
    """
    return getattr(error, "sqlstate", None)


def driver_errors() -> tuple[type[BaseException], ...]:
    """Return the base classes of all errors that a database driver or SQLAlchemy raises."""
    return (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, *psycopg_errors("Error"))


def psycopg_errors(*names: str) -> tuple[type[BaseException], ...]:
    """Return exception classes of psycopg by their names; ``()`` if this process has not imported psycopg.

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
    """Decides after each failure of one statement whether and when to repeat the statement.

    If the database is unreachable, read-only or busy, the policy allows repetitions until the deadline, after growing
    pauses. Without a deadline, the policy allows one repetition after a lost connection or on a read-only server, and
    no repetition if another session held a lock.

    Args:
        effect: What a second execution of the statement changes. If it changes something, the policy allows no
            repetition when the answer was lost.
    """

    def __init__(self, effect: Effect) -> None:
        self._effect = effect
        self._began = monotonic()
        self._failures = dict.fromkeys(StatementOutcome, 0)

    def pause_after(self, verdict: StatementOutcome) -> float | None:
        """Count a failure, and return the pause before the next attempt.

        Args:
            verdict: What happened to the statement in the last attempt.

        Returns:
            Seconds to wait before the next attempt; 0 means at once. ``None`` means that the caller must not repeat the
            statement.
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
