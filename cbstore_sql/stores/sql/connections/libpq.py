"""A PostgreSQL session that runs each statement over the libpq connection of a psycopg connection.

psycopg's cursors convert types, look up plans and describe results for each statement. The few statements of a store
have fixed types, so this module uses no cursors. A generator does the work and never waits. Where it needs
the socket, it yields whether to wait until the socket is writable too, and receives whether the socket is readable.
`drive` and `drive_async` of `cbstore_sql.stores.sql.connections.drive` wait for the socket until the deadline.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import Any

from psycopg.pq import ConnStatus, TransactionStatus

from cbstore_sql.stores.sql import sqlstates
from cbstore_sql.stores.sql.connections.pipeline import HAS_PIPELINES, leave, send_piped
from cbstore_sql.stores.sql.connections.session_setup import INTERVAL, SessionSetup
from cbstore_sql.stores.sql.connections.socket_wait import wait_for_socket
from cbstore_sql.stores.sql.connections.transaction import joined, pinned
from cbstore_sql.stores.sql.connections.unread import UnreadAnswer
from cbstore_sql.stores.sql.connections.wire import Wire, answer, unsent
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.retry import NotSentError, sqlstate
from cbstore_sql.stores.sql.statements.statement import BINARY, Statement

_UNSETTLED = frozenset({TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN})

_UTF8 = "utf-8"

# If a session lost prepared statements this often, something resets the session repeatedly. Then preparing statements
# costs more than it saves.
_MOST_LOST = 3


class PgSession:
    """A session with a PostgreSQL server over a psycopg connection. One caller at a time may use it.

    The session uses libpq directly, which is faster than psycopg's cursors.

    Args:
        driver: The psycopg connection, sync or async.
        after: After how many executions a statement is prepared on the server; 0 means before the first execution, and
            ``None`` means never.
        setup: The first statement of the session, or ``None`` if the session needs no such statement.

    Attributes:
        driver: The psycopg connection.
        pgconn: The libpq connection of the psycopg connection.
        socket: An object that waits for the socket of the connection.
        sent: Whether the current statement was sent, so that it may have had an effect.
        is_shared: Whether a transaction pooler gives each statement another server session, so that statements must not
            be prepared.
    """

    __slots__ = (
        "_after",
        "_encoding",
        "_lost",
        "_prepared",
        "_setup",
        "_setup_due",
        "_unread",
        "_uses",
        "driver",
        "is_shared",
        "pgconn",
        "sent",
        "socket",
    )

    def __init__(self, driver: Any, after: int | None, setup: SessionSetup | None = None) -> None:
        self.driver = driver
        self.pgconn = driver.pgconn
        self.sent = False
        self.is_shared = False
        self._after = after
        self._setup = setup
        self._setup_due = 0.0
        self._uses: dict[bytes, int] = {}
        self._prepared: set[bytes] = set()
        self._lost = 0
        self._unread: UnreadAnswer | None = None
        self.socket = wait_for_socket(self.pgconn.socket)
        self.look_at_encoding()

    def look_at_encoding(self) -> None:
        """Read the connection's encoding, which the application may have changed. This method sends nothing."""
        encoding: str = self.driver.info.encoding
        # "ascii" is psycopg's name for SQL_ASCII: the server does not convert, and other clients send UTF-8.
        self._encoding = _UTF8 if encoding == "ascii" else encoding

    def is_dead(self) -> bool:
        """Return whether the connection is closed, or the server has ended the session. This method sends nothing."""
        if self.pgconn.status != ConnStatus.OK:
            return True
        if self._unread is not None:
            return self._unread.is_lost(self.socket)
        # Between two statements, the only message of a server is that it ends the session.
        return self.socket.wait(0.0, write=False) is not None

    def is_lost(self) -> bool:
        """Whether the connection is closed, or the server has ended the session; for a connection of the application.

        Unlike `is_dead`, this method reads what the server has sent: the application may have subscribed to
        notifications. This method makes no round trip.
        """
        while self.pgconn.status == ConnStatus.OK and self.socket.wait(0.0, write=False) is not None:
            try:
                self.pgconn.consume_input()
            except Exception:  # noqa: BLE001 - whatever it is, the connection cannot be used
                return True
        return bool(self.pgconn.status != ConnStatus.OK)

    def is_sound(self) -> bool:
        """Return whether the session can run another statement after an error."""
        return bool(self.pgconn.status == ConnStatus.OK and self.pgconn.transaction_status not in _UNSETTLED)

    def is_busy(self) -> bool:
        """Return whether the server still executes a statement of this session."""
        return bool(self.pgconn.transaction_status == TransactionStatus.ACTIVE)

    def cut(self) -> None:
        """Close the connection at once, without waiting for the server."""
        self.pgconn.finish()

    def steps(self, query: Query, *, prepare: bool) -> Wire:
        """Make a generator that runs one statement in its own transaction. `drive` or `drive_async` runs the generator.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared on the server.

        Returns:
            The generator, which returns the rows. It raises `NotSentError` if an error occurred before the statement
            was sent, and `StoreError` if row-level security hides the table's rows.
        """
        self.sent = False
        return self._run(query, prepare) if self._unread is None else self._run_after(self._unread, query, prepare)

    def send(self, query: Query) -> bool:
        """Send one statement without waiting for its answer. The session reads the answer before its next statement.

        No caller learns whether the statement had an effect. If the connection is lost, the statement may be lost too.

        Args:
            query: The statement with its parameters.

        Returns:
            Whether the statement was sent. ``False`` means that more than this one message would be necessary, for
            example because the statement is not prepared yet.
        """
        pgconn, unread = self.pgconn, self._unread
        if unread is not None and unread.is_read and unread.error is None:
            leave(pgconn)
            self._unread = None
        idle = self._unread is None and pgconn.transaction_status == TransactionStatus.IDLE
        if not idle or not HAS_PIPELINES or not self._can_send_at_once(query.statement):
            return False
        if query.packed is None:
            query.packed = query.statement.pack(query.parameters)
        try:
            self._unread = UnreadAnswer(answer(pgconn), piped=True)
            # In pipeline mode, a later read need not wait for this answer before it is sent.
            pgconn.enter_pipeline_mode()
            send_piped(pgconn, query.statement, query.packed)
            self._unread.read_arrived()
        except BaseException:
            # A signal handler may have raised it at any step, so it is not known whether an answer comes.
            self.cut()
            raise
        return True

    def leave_unread(self, steps: Wire) -> bool:
        """Stop waiting for a statement that only reads. The session ends the statement before its next one.

        Args:
            steps: The generator that `steps` returned for the statement. It waits for the socket.

        Returns:
            Whether the session may be used again. If ``False``, the connection is closed.
        """
        if self.pgconn.status != ConnStatus.OK:
            return False
        self._unread = UnreadAnswer(steps, piped=False)
        return True

    def _can_send_at_once(self, statement: Statement) -> bool:
        """Whether one message sends the statement, because the session has prepared it and needs no other statement."""
        return statement.name in self._prepared and self._encoding == _UTF8 and not self._is_setup_due()

    def _is_setup_due(self) -> bool:
        return self._setup is not None and monotonic() >= self._setup_due

    def _run_after(self, unread: UnreadAnswer, query: Query, prepare: bool) -> Wire:
        """Read the answer to the statement before, and run the statement; see `steps`."""
        may_follow = query.reads and prepare and unread.piped and not unread.is_read
        is_piped = may_follow and self._can_send_at_once(query.statement)
        if is_piped:
            send_piped(self.pgconn, query.statement, query.statement.pack(query.parameters))
            self.sent = True
        try:
            yield from unread.rest()
        except NotSentError as error:
            self._learn(error.reason)
            if is_piped and self.pgconn.status == ConnStatus.OK:
                with suppress(Exception):
                    yield from answer(self.pgconn)
            leave(self.pgconn)
            raise
        finally:
            # If this statement was left unread as well, the session still owes its answer.
            if self._unread is unread:
                self._unread = None
        if is_piped:
            return (yield from self._last_piped(query.statement))
        leave(self.pgconn)
        return (yield from self._run(query, prepare))

    def _last_piped(self, statement: Statement) -> Wire:
        """Read the answer to the last statement that was sent in pipeline mode, and return the rows."""
        try:
            result = yield from answer(self.pgconn)
        except Exception as error:
            self._learn(error)
            leave(self.pgconn)
            raise
        leave(self.pgconn)
        return statement.unpack(result)

    def _run(self, query: Query, prepare: bool) -> Wire:
        if query.pinned:
            return pinned(self.pgconn, self._ask(query, prepare))
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            if self._setup is not None and self._is_setup_due():
                return self._set_up(self._setup, query, prepare)
            return self._ask(query, prepare)
        return joined(self.pgconn, self._ask(query, prepare))

    def _set_up(self, setup: SessionSetup, query: Query, prepare: bool) -> Wire:
        """Run the first statement of the session, then the statement of the query; see `steps`."""
        try:
            rows = yield from self._ask(Query(setup.statement, setup.parameters), False, sent=False)
        except Exception as error:
            # A server on Windows does not support client_connection_check_interval.
            if sqlstate(error) != sqlstates.INVALID_PARAMETER_VALUE:
                raise NotSentError(error) from error
        else:
            setup.check(rows)
        self._setup_due = monotonic() + INTERVAL
        return (yield from self._ask(query, prepare))

    def _ask(self, query: Query, prepare: bool, *, sent: bool = True) -> Wire:
        """Run one statement; see `steps`.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared.
            sent: The value of the attribute ``sent`` from now on; ``False`` for a statement that has no effect.
        """
        statement, pgconn = query.statement, self.pgconn
        if self._encoding != _UTF8:
            statement = statement.in_encoding(self._encoding)
        try:
            values = statement.pack(query.parameters)
        except UnicodeEncodeError as error:
            raise NotSentError(error) from error
        was_prepared = statement.name in self._prepared
        if prepare and self._after is not None and (was_prepared or (yield from self._prepare(statement, self._after))):
            pgconn.send_query_prepared(statement.name, values, statement.formats, BINARY)
        else:
            pgconn.send_query_params(statement.command, values, statement.types, statement.formats, BINARY)
        self.sent = sent
        try:
            return statement.unpack((yield from answer(pgconn)))
        except Exception as error:
            self._learn(error, was_prepared=was_prepared)
            raise

    def _learn(self, error: Exception, *, was_prepared: bool = True) -> None:
        """If the server did not find a prepared statement, forget all prepared statements.

        If the statement was prepared just now, a pooler gave the connection another server session. If the statement
        was prepared earlier, something ran ``DEALLOCATE ALL`` (as psycopg does after DDL) or ``DISCARD ALL``.

        Args:
            error: The error of a statement.
            was_prepared: Whether the statement was prepared before the current query.
        """
        if sqlstate(error) != sqlstates.INVALID_SQL_STATEMENT_NAME:
            return
        self._prepared.clear()
        self._lost += 1
        if not was_prepared:
            self.is_shared = True
        elif self._lost >= _MOST_LOST:
            self._after = None

    def _prepare(self, statement: Statement, after: int) -> Wire:
        """Prepare a statement if the session has executed the statement often enough.

        Args:
            statement: The statement.
            after: The number of executions before the statement is prepared.

        Returns:
            Whether the statement is now prepared.

        Raises:
            NotSentError: The server did not prepare the statement.
        """
        uses = self._uses[statement.name] = self._uses.get(statement.name, 0) + 1
        if uses <= after:
            return False
        self.pgconn.send_prepare(statement.name, statement.command, statement.types)
        try:
            yield from unsent(answer(self.pgconn))
        except NotSentError as error:
            self.is_shared |= sqlstate(error.reason) == sqlstates.DUPLICATE_PREPARED_STATEMENT
            raise
        self._prepared.add(statement.name)
        return True
