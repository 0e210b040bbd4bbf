"""Runs one statement over a psycopg connection's libpq connection.

psycopg's cursors adapt types, look up plans and describe results for each statement; the few statements here have all
of that decided when they are compiled. The steps are a generator without any waiting: it yields whether it wants to
write besides reading, and is sent whether there is something to read. `drive` and `drive_async` wait, and keep the
deadline.
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
"""Yields whether it wants to write; is sent whether there is something to read."""

BEGIN_PINNED = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
COMMIT = Statement("COMMIT")
ROLLBACK = Statement("ROLLBACK")
"""Around a statement that the session's default isolation level would make fail."""

_UNSETTLED = frozenset({TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN})
_GOOD = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})

_UTF8 = "utf-8"

# After so many lost statements something resets the session again and again: preparing costs more than it saves.
_MOST_LOST = 3


class PgSession:
    """A psycopg connection, sync or async, that one caller uses at a time.

    Args:
        driver: The connection.
        after: After how many uses a statement is prepared; ``None``: never.
        setup: What the session begins with; ``None``: nothing.

    Attributes:
        driver: The connection.
        pgconn: Its libpq connection.
        sent: Whether the current statement has been sent: from then on it may have an effect.
        is_shared: Whether a transaction pooler moves the connection between server sessions.
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
        """Ask libpq for the client encoding, which the application may have changed; costs no round trip."""
        encoding: str = self.driver.info.encoding
        # psycopg's name for SQL_ASCII: the server keeps bytes as they are, and every other client sends UTF-8.
        self._encoding = _UTF8 if encoding == "ascii" else encoding

    def is_dead(self) -> bool:
        """Whether the connection is closed or the server has ended it; costs no round trip."""
        # Between two statements, a server sends only the notice that it ends the session.
        return self.pgconn.status != ConnStatus.OK or self._socket.wait(0.0, write=False) is not None

    def is_sound(self) -> bool:
        """Whether the session can run another statement."""
        return bool(self.pgconn.status == ConnStatus.OK and self.pgconn.transaction_status not in _UNSETTLED)

    def is_busy(self) -> bool:
        """Whether the server is still executing a statement whose caller has given up."""
        return bool(self.pgconn.transaction_status == TransactionStatus.ACTIVE)

    def cut(self) -> None:
        """Close the connection without waiting for anything."""
        self.pgconn.finish()

    def wait(self, seconds: float | None, *, write: bool) -> bool:
        """Wait until there is something to read, or room to write; return whether there is something to read.

        Raises:
            LateError: The time passed.
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
        """Do the same in an event loop; see `wait`."""
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
        """Run a statement in its own transaction and return its rows.

        Args:
            query: What to run.
            prepare: Whether statements may be prepared at all.

        Raises:
            NotSentError: It failed before the statement was sent.
            StoreError: See `SessionSetup.check`.
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
        """Begin the session, then run the statement."""
        try:
            rows = yield from self._ask(Query(setup.statement, setup.parameters), False)
        except Exception as error:
            # A server on Windows cannot watch its clients.
            if sqlstate(error) != sqlstates.INVALID_PARAMETER_VALUE:
                raise NotSentError(error) from error
        else:
            setup.check(rows)
        finally:
            self.sent = False
        self._setup_due = monotonic() + INTERVAL
        return (yield from self._ask(query, prepare))

    def _ask(self, query: Query, prepare: bool) -> Wire:
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
        self.sent = True
        try:
            return statement.unpack((yield from _answer(pgconn)))
        except Exception as error:
            if sqlstate(error) == sqlstates.INVALID_SQL_STATEMENT_NAME:
                self._forget_prepared(was_prepared=was_prepared)
            raise

    def _forget_prepared(self, *, was_prepared: bool) -> None:
        """Note that the server does not know a statement that was prepared.

        Prepared a moment ago: a pooler gave the connection another session. Prepared earlier: something ran
        ``DEALLOCATE ALL``, as psycopg does after DDL, or ``DISCARD ALL``.
        """
        self._prepared.clear()
        self._lost += 1
        if not was_prepared:
            self.is_shared = True
        elif self._lost >= _MOST_LOST:
            self._after = None

    def _pinned(self, query: Query, prepare: bool) -> Wire:
        """Run the statement in a READ COMMITTED transaction."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            # A listener's transaction has its isolation level for good.
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
        """Run the statement in the transaction that a listener of the application's engine began, and commit that."""
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            yield from _unsent(self._simple(ROLLBACK))
            return (yield from self._ask(query, prepare))
        rows = yield from self._ask(query, prepare)
        yield from self._simple(COMMIT)
        return rows

    def _prepare(self, statement: Statement, after: int) -> Wire:
        """Prepare a statement that was used often enough; return whether it was."""
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
    """Send what is to be sent and return its result.

    A result alone is not the answer: it arrives before the commit, which may still fail.
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
                # A server that ends a connection may have said why.
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
    """Whether nothing is wrong so far."""
    return result is None or result.status in _GOOD


def _pass_on_notifications(pgconn: Any) -> None:
    while (notification := pgconn.notifies()) is not None:
        if pgconn.notify_handler is not None:
            pgconn.notify_handler(notification)


def drive(session: PgSession, steps: Wire) -> list[Values]:
    """Run the steps of a synchronous session, by the deadline.

    Raises:
        LateError: The deadline passed; the session cannot be used any more.
    """
    try:
        wants_write = next(steps)
        while True:
            wants_write = steps.send(session.wait(remaining(), write=wants_write))
    except StopIteration as done:
        rows: list[Values] = done.value
        return rows


async def drive_async(session: PgSession, steps: Wire) -> list[Values]:
    """Run the steps of an asynchronous session; see `drive`."""
    return await go_on_async(session, steps, next(steps))


async def go_on_async(session: PgSession, steps: Wire, wants_write: bool) -> list[Values]:
    """Continue a generator of `PgSession.steps` that has yielded once, and await its result; see `drive`.

    Args:
        session: The session of the generator.
        steps: The generator.
        wants_write: The value it yielded: whether to wait until the socket is writable.
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
