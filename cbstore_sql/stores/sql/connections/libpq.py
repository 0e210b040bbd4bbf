"""One statement over a psycopg connection's libpq connection, stated without any waiting.

psycopg's cursors adapt types, look up plans and describe results anew each time; the few statements here have all of
that decided when they are compiled. A step yields whether it wants to write besides reading and is sent what the
socket is ready for; whoever drives it keeps the deadline. See `drive` and `drive_async`.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Generator
from contextlib import suppress
from math import ceil
from typing import Any, NoReturn

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql.connections.cancel import cancel
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import LateError, NotSentError
from cbstore_sql.stores.sql.statements.statement import BINARY, Statement

Wire = Generator[bool, bool, Any]
"""Yields whether it wants to write; is sent whether there is something to read."""

BEGIN_PINNED = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
COMMIT = Statement("COMMIT")
ROLLBACK = Statement("ROLLBACK")
"""Around a statement that the session's default isolation level would make fail."""

# libpq's codes: of a connection, of its transaction, of a result (a command's, and one with rows).
_OK = 0
_IDLE = 0
_ACTIVE = 1
_UNSETTLED = frozenset({_ACTIVE, 4})
_GOOD = frozenset({1, 2})

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_UTF8 = "utf-8"


class PgSession:
    """A psycopg connection, of either colour, that nobody else speaks on.

    Args:
        driver: The connection.
        after: After how many uses a statement is prepared; ``None`` for never.

    Attributes:
        driver: The connection.
        pgconn: Its libpq connection.
        sent: Whether the statement under way has been sent: from then on it may have an effect.
    """

    __slots__ = ("_after", "_encoding", "_poll", "_prepared", "_uses", "driver", "pgconn", "sent")

    def __init__(self, driver: Any, after: int | None) -> None:
        self.driver = driver
        self.pgconn = driver.pgconn
        self.sent = False
        self._after = after
        self._uses: dict[bytes, int] = {}
        self._prepared: set[bytes] = set()
        self._encoding: str = driver.info.encoding
        self._poll = select.poll()
        self._poll.register(self.pgconn.socket, _READABLE)

    def is_dead(self) -> bool:
        """Whether the server has ended the connection; costs no round trip."""
        # Between two statements a server has nothing to say but that it is going.
        return bool(self._poll.poll(0))

    def is_sound(self) -> bool:
        """Whether somebody can go on working here."""
        return bool(self.pgconn.status == _OK and self.pgconn.transaction_status not in _UNSETTLED)

    def cut(self) -> None:
        """End the connection at once: whatever is on its way belongs to nobody."""
        if self.pgconn.transaction_status == _ACTIVE:
            cancel(self.pgconn)
        self.pgconn.finish()

    def wait(self, seconds: float | None, *, write: bool) -> bool:
        """Wait until there is something to read, or room to write; return whether there is something to read.

        Raises:
            LateError: There was not within some seconds; the connection is cut.
        """
        if write:
            self._poll.modify(self.pgconn.socket, _READABLE | select.POLLOUT)
        events = self._poll.poll(None if seconds is None else ceil(seconds * 1000.0))
        if write:
            self._poll.modify(self.pgconn.socket, _READABLE)
        if not events:
            self._give_up()
        return bool(events[0][1] & _READABLE)

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
        self.cut()
        raise LateError(sent=self.sent)

    def steps(self, query: Query, *, prepare: bool) -> Wire:
        """Carry out a statement in a transaction of its own and return its rows.

        Args:
            query: What to carry out.
            prepare: Whether statements may be prepared at all.

        Raises:
            NotSentError: It failed before the statement was sent.
        """
        self.sent = False
        if query.pinned:
            return self._pinned(query, prepare)
        if self.pgconn.transaction_status == _IDLE:
            return self._ask(query, prepare)
        return self._joined(query, prepare)

    def _ask(self, query: Query, prepare: bool) -> Wire:
        statement, pgconn = query.statement, self.pgconn
        if self._encoding != _UTF8:
            statement = statement.in_encoding(self._encoding)
        values = statement.pack(query.parameters)
        if prepare and (statement.name in self._prepared or (yield from self._prepare(statement))):
            pgconn.send_query_prepared(statement.name, values, statement.formats, BINARY)
        else:
            pgconn.send_query_params(statement.command, values, statement.types, statement.formats, BINARY)
        self.sent = True
        return statement.unpack((yield from _answer(pgconn)))

    def _pinned(self, query: Query, prepare: bool) -> Wire:
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
        """A listener of the application's engine has begun a transaction on check-out: it ends with the statement."""
        rows = yield from self._ask(query, prepare)
        yield from self._simple(COMMIT)
        return rows

    def _prepare(self, statement: Statement) -> Wire:
        """Prepare a statement that was used often enough; return whether it was."""
        if self._after is None:
            return False
        uses = self._uses[statement.name] = self._uses.get(statement.name, 0) + 1
        if uses <= self._after:
            return False
        self.pgconn.send_prepare(statement.name, statement.command, statement.types)
        yield from _unsent(_answer(self.pgconn))
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

    A result is no answer yet: it comes before the commit, which may still fail or never be.
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
    """Carry out the steps of a synchronous session, by the deadline.

    Raises:
        LateError: It passed; the session cannot be used any more.
    """
    try:
        wants_write = next(steps)
        while True:
            wants_write = steps.send(session.wait(remaining(), write=wants_write))
    except StopIteration as done:
        rows: list[Values] = done.value
        return rows


async def drive_async(session: PgSession, steps: Wire) -> list[Values]:
    """Carry out the steps of an asynchronous session; see `drive`."""
    return await go_on_async(session, steps, next(steps))


async def go_on_async(session: PgSession, steps: Wire, wants_write: bool) -> list[Values]:
    """Carry out steps that have been begun; see `drive`.

    Args:
        session: Whose they are.
        steps: They have yielded once.
        wants_write: What they yielded.
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
