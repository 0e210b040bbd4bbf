"""A PostgreSQL session that runs each statement over the libpq connection of a psycopg connection.

psycopg's cursors convert types, look up plans and describe results for each statement. The few statements of a store
have fixed types, so this module uses no cursors. A generator does the work and never waits. Where it needs
the socket, it yields whether to wait until the socket is writable too, and receives whether the socket is readable.
`drive` and `drive_async` wait for the socket until the deadline.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn

from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql import sqlstates
from cbstore_sql.stores.sql.connections.session_setup import INTERVAL, SessionSetup
from cbstore_sql.stores.sql.connections.socket_wait import LONGEST_WAIT, wait_for_socket
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import LateError, NotSentError, sqlstate
from cbstore_sql.stores.sql.statements.statement import BINARY, Statement

Wire = Generator[bool, bool, Any]
"""A generator that yields whether to wait until the socket is writable, and receives whether the socket is readable."""

BEGIN_PINNED = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
COMMIT = Statement("COMMIT")
ROLLBACK = Statement("ROLLBACK")
"""The statements around a pinned statement, which needs READ COMMITTED whatever the session's default isolation."""

_UNSETTLED = frozenset({TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN})
_GOOD = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})

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
        "_socket",
        "_uses",
        "driver",
        "is_shared",
        "pgconn",
        "sent",
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
        self._socket = wait_for_socket(self.pgconn.socket)
        self.look_at_encoding()

    def look_at_encoding(self) -> None:
        """Read the connection's encoding, which the application may have changed. This method sends nothing."""
        encoding: str = self.driver.info.encoding
        # "ascii" is psycopg's name for SQL_ASCII: the server does not convert, and other clients send UTF-8.
        self._encoding = _UTF8 if encoding == "ascii" else encoding

    def is_dead(self) -> bool:
        """Return whether the connection is closed, or the server has ended the session. This method sends nothing."""
        # Between two statements, the only message of a server is that it ends the session.
        return self.pgconn.status != ConnStatus.OK or self._socket.wait(0.0, write=False) is not None

    def is_lost(self) -> bool:
        """Whether the connection is closed, or the server has ended the session; for a connection of the application.

        Unlike `is_dead`, this method reads what the server has sent: the application may have subscribed to
        notifications. This method makes no round trip.
        """
        while self.pgconn.status == ConnStatus.OK and self._socket.wait(0.0, write=False) is not None:
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

    def wait(self, seconds: float | None, *, write: bool) -> bool:
        """Wait until the session's socket is readable. If ``write`` is true, also return when the socket is writable.

        Args:
            seconds: The longest time to wait, seconds; ``None`` means no limit.
            write: Whether to return also when the socket is writable.

        Returns:
            Whether the socket is readable.

        Raises:
            LateError: The socket did not become ready in time.
        """
        while True:
            part = seconds if seconds is None or seconds < LONGEST_WAIT else LONGEST_WAIT
            readable = self._socket.wait(part, write=write)
            if readable is not None:
                return readable
            if seconds is None or part is None or seconds <= part:
                self._give_up()
            seconds -= part

    async def wait_async(self, seconds: float | None, *, write: bool) -> bool:
        """Await, in an event loop, that the session's socket is readable or, if ``write`` is true, writable.

        Args:
            seconds: The longest time to wait, seconds; ``None`` means no limit.
            write: Whether to return also when the socket is writable.

        Returns:
            Whether the socket is readable.

        Raises:
            LateError: The socket did not become ready in time.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bool | None] = loop.create_future()
        number = self.pgconn.socket
        loop.add_reader(number, _settle, ready, True)
        if write:
            loop.add_writer(number, _settle, ready, False)
        late = None if seconds is None else loop.call_later(seconds, _settle, ready, None)
        try:
            readable = await ready
        finally:
            loop.remove_reader(number)
            if write:
                loop.remove_writer(number)
            if late is not None:
                late.cancel()
        return self._give_up() if readable is None else readable

    def _give_up(self) -> NoReturn:
        raise LateError(sent=self.sent)

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
        if query.pinned:
            return self._pinned(query, prepare)
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            if self._setup is not None and monotonic() >= self._setup_due:
                return self._set_up(self._setup, query, prepare)
            return self._ask(query, prepare)
        return self._joined(query, prepare)

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
            return statement.unpack((yield from _answer(pgconn)))
        except Exception as error:
            if sqlstate(error) == sqlstates.INVALID_SQL_STATEMENT_NAME:
                self._forget_prepared(was_prepared=was_prepared)
            raise

    def _forget_prepared(self, *, was_prepared: bool) -> None:
        """Forget all prepared statements, because the server did not find a prepared statement.

        If the statement was prepared just now, a pooler gave the connection another server session. If the statement
        was prepared earlier, something ran ``DEALLOCATE ALL`` (as psycopg does after DDL) or ``DISCARD ALL``.

        Args:
            was_prepared: Whether the statement was prepared before the current query.
        """
        self._prepared.clear()
        self._lost += 1
        if not was_prepared:
            self.is_shared = True
        elif self._lost >= _MOST_LOST:
            self._after = None

    def _pinned(self, query: Query, prepare: bool) -> Wire:
        """Run the statement in a READ COMMITTED transaction; see `steps`."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            # A listener of the application's engine began a transaction, whose isolation level cannot change any more.
            yield from _unsent(self._simple(COMMIT))
        yield from _unsent(self._simple(BEGIN_PINNED))
        try:
            rows = yield from self._ask(query, prepare)
            yield from self._simple(COMMIT)
        except Exception:
            with suppress(Exception):
                yield from self._simple(ROLLBACK)
            raise
        return rows

    def _joined(self, query: Query, prepare: bool) -> Wire:
        """Run the statement in the transaction that a listener of the application's engine began, then commit.

        If the transaction of the listener has failed, roll back first. See `steps` for the arguments.
        """
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            yield from _unsent(self._simple(ROLLBACK))
            return (yield from self._ask(query, prepare))
        rows = yield from self._ask(query, prepare)
        yield from self._simple(COMMIT)
        return rows

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
            yield from _unsent(_answer(self.pgconn))
        except NotSentError as error:
            self.is_shared |= sqlstate(error.reason) == sqlstates.DUPLICATE_PREPARED_STATEMENT
            raise
        self._prepared.add(statement.name)
        return True

    def _simple(self, statement: Statement) -> Wire:
        self.pgconn.send_query_params(statement.command, None)
        return (yield from _answer(self.pgconn))


def _unsent(steps: Wire) -> Wire:
    try:
        return (yield from steps)
    except Exception as error:
        raise NotSentError(error) from error


def _answer(pgconn: Any) -> Wire:
    """Send the queued messages, wait for the complete answer of the server and return the result.

    A result arrives before the commit, and the commit may still fail. So this generator reads on until the server has
    no more results, and returns the first result that is an error, else the last result.

    Args:
        pgconn: The libpq connection.

    Raises:
        psycopg.Error: The server reported an error, or the connection was lost.
    """
    while pgconn.flush():
        if (yield True):
            pgconn.consume_input()
    told = None
    while True:
        while pgconn.is_busy():
            yield False
            try:
                pgconn.consume_input()
            except Exception:
                # A server that ends a connection may have sent an error result before.
                if _is_good(told):
                    raise
                break
        result = pgconn.get_result()
        if result is None:
            break
        if _is_good(told):
            told = result
    _pass_on_notifications(pgconn)
    if told is None or told.status not in _GOOD:
        raise sys.modules["psycopg.errors"].error_from_result(told)
    return told


def _is_good(result: Any) -> bool:
    """Whether a result is free of errors. ``None`` means that the server has sent no result yet, and gives ``True``."""
    return result is None or result.status in _GOOD


def _pass_on_notifications(pgconn: Any) -> None:
    while (notification := pgconn.notifies()) is not None:
        if pgconn.notify_handler is not None:
            pgconn.notify_handler(notification)


def drive(session: PgSession, steps: Wire) -> list[Values]:
    """Run a statement's generator to the end and return the rows. Wait for the socket where the generator asks for it.

    Args:
        session: The session of the generator.
        steps: A generator that `PgSession.steps` returned.

    Raises:
        LateError: The statement did not end by the caller's deadline. The caller must close the session.
        NotSentError: An error occurred before the statement was sent.
    """
    try:
        wants_write = next(steps)
        while True:
            wants_write = steps.send(session.wait(remaining(), write=wants_write))
    except StopIteration as done:
        rows: list[Values] = done.value
        return rows


async def drive_async(session: PgSession, steps: Wire) -> list[Values]:
    """Run a statement's generator to the end in an event loop, and return the rows.

    Args:
        session: The session of the generator.
        steps: A generator that `PgSession.steps` returned.

    Raises:
        LateError: The statement did not end by the caller's deadline. The caller must close the session.
        NotSentError: An error occurred before the statement was sent.
    """
    return await go_on_async(session, steps, next(steps))


async def go_on_async(session: PgSession, steps: Wire, wants_write: bool) -> list[Values]:
    """Run a statement's generator, which has already yielded once, to the end in an event loop, and return the rows.

    Args:
        session: The session of the generator.
        steps: A generator that `PgSession.steps` returned.
        wants_write: What the generator yielded: whether to wait until the socket is writable too.

    Raises:
        LateError: The statement did not end by the caller's deadline. The caller must close the session.
        NotSentError: An error occurred before the statement was sent.
    """
    try:
        while True:
            wants_write = steps.send(await session.wait_async(remaining(), write=wants_write))
    except StopIteration as done:
        rows: list[Values] = done.value
        return rows


def _settle(future: asyncio.Future[bool | None], ready: bool | None) -> None:
    if not future.done():
        future.set_result(ready)
