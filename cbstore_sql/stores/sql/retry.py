"""What happened to a statement that failed, and whether to carry it out again: decided in this one place, without I/O.

An error says what happened to a statement by its code (SQLSTATE), and one that has none by when it came: what was
never sent had no effect, and what was lost on its way may have had one.
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
    """Nothing of the statement was sent.

    Attributes:
        reason: What happened before.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


class StaleConnectionError(Exception):
    """The connection leads nowhere any more; another one may work. The message is for the user."""


class LateError(Exception):
    """The deadline passed.

    Attributes:
        sent: Whether the statement had been sent by then.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class Effect(Enum):
    """What carrying a statement out once more does, where it had been applied."""

    READ_ONLY = auto()
    """It only reads."""

    IDEMPOTENT = auto()
    """The breaker is afterwards as if it had been applied once."""

    NOT_IDEMPOTENT = auto()
    """It is applied twice."""


class StatementOutcome(Enum):
    """What happened to a statement that failed, and what helps."""

    NEVER = auto()
    """Refused; it will be again."""

    CONFLICT = auto()
    """Not applied: a concurrent writer won. At once, as a READ COMMITTED transaction."""

    CREATED = auto()
    """Not applied: a concurrent writer made the row. At once, and once."""

    BUSY = auto()
    """Not applied: another session holds the row, or the server had no time."""

    GONE = auto()
    """Not applied: there is no connection, or no more. On another one."""

    READ_ONLY = auto()
    """Not applied: the server takes no writes (any more). On another server, to which no connection leads yet."""

    OUTDATED = auto()
    """Not applied: the table has been changed since the statement was prepared. At once, and once, on a connection
    that is newer."""

    SHARED_SESSION = auto()
    """Not applied: a pooler switched to a session without the prepared statement. Repeat it unprepared."""

    STALE = auto()
    """Not applied: the connection was closed before a fork, or leads to a file that was replaced. At once, on another
    one."""

    UNKNOWN = auto()
    """Sent, and then lost: it may have been applied."""


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

# PgBouncer reports these as protocol violations, and never forwarded the statement.
_NEVER_FORWARDED = ("query_wait_timeout", "server login has been failing")

_BUSY_TEXTS = ("database is locked", "database table is locked", "database schema is locked", "interrupted")


def classify(error: BaseException, *, sent: bool) -> StatementOutcome:
    """Judge a driver's error.

    Args:
        error: What the driver or the pool raised.
        sent: Whether the statement had been sent; connecting and preparing come before.
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
    """Whether SQLite gave up because of another writer, or because it was interrupted; nothing was applied."""
    return str(error).startswith(_BUSY_TEXTS)


def classify_error(error: BaseException) -> StatementOutcome:
    """Judge whatever carrying out a statement raised."""
    if isinstance(error, NotSentError):
        return classify(error.reason, sent=False)
    return classify(error, sent=True)


def sqlstate(error: BaseException) -> str | None:
    """Return the server's code for an error, ``None`` if it does not come from a server."""
    return getattr(error, "sqlstate", None)


def driver_errors() -> tuple[type[BaseException], ...]:
    """Return what a driver or the pool raises."""
    return (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, *psycopg_errors("Error"))


def psycopg_errors(*names: str) -> tuple[type[BaseException], ...]:
    """Return psycopg's exceptions of these names: none where nothing has imported it, so that SQLite does without."""
    psycopg = sys.modules.get("psycopg")
    return tuple(getattr(psycopg, name) for name in names) if psycopg else ()


_CONFLICT_ATTEMPTS = 20
_CONFLICT_SECONDS = 5.0
_CONFLICT = ExponentialBackoff(0.002, 0.04, jitter=(0.0, 1.0))

# Each session that was open has its own prepared statements to miss.
_ELSEWHERE_ATTEMPTS = 20

_FIRST_PAUSE = 0.02
_LATER = ExponentialBackoff(2.0 * _FIRST_PAUSE, 0.5)

_LOST = frozenset({StatementOutcome.GONE, StatementOutcome.READ_ONLY, StatementOutcome.UNKNOWN})
_ELSEWHERE = frozenset({StatementOutcome.SHARED_SESSION, StatementOutcome.STALE})
_ONCE = frozenset({StatementOutcome.CREATED, StatementOutcome.OUTDATED})

ON_ALL_CONNECTIONS = frozenset({StatementOutcome.READ_ONLY, StatementOutcome.OUTDATED})
"""What holds for every connection of a pool: they lead to the same server, and prepared on the same table."""


class RetryPolicy:
    """How often one operation that has failed is repeated, and when.

    What was not applied because the database was not there, not writable or busy is repeated until the deadline, after
    pauses that grow; where none is set, a lost connection is worth one more attempt, and waiting for a lock none.

    Args:
        effect: What a repetition does, where the statement had been applied.
    """

    def __init__(self, effect: Effect) -> None:
        self._effect = effect
        self._began = monotonic()
        self._failures = dict.fromkeys(StatementOutcome, 0)

    def pause_after(self, verdict: StatementOutcome) -> float | None:
        """Return how long to wait before another attempt, seconds; ``None``: give up."""
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
