"""Running the generators of `PgSession.steps`: waiting for the socket, in a thread or in an event loop."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql.connections.libpq import PgSession
from cbstore_sql.stores.sql.connections.socket_wait import LONGEST_WAIT
from cbstore_sql.stores.sql.connections.wire import Wire
from cbstore_sql.stores.sql.operations import Values
from cbstore_sql.stores.sql.retry import LateError


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
            wants_write = steps.send(wait(session, remaining(), write=wants_write))
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
    try:
        wants_write = next(steps)
    except StopIteration as done:
        rows: list[Values] = done.value
        return rows
    return await go_on_async(session, steps, wants_write)


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
            wants_write = steps.send(await wait_async(session, remaining(), write=wants_write))
    except StopIteration as done:
        rows: list[Values] = done.value
        return rows


def wait(session: PgSession, seconds: float | None, *, write: bool) -> bool:
    """Wait until the session's socket is readable. If ``write`` is true, also return when the socket is writable.

    Args:
        session: The session of the socket.
        seconds: The longest time to wait, seconds; ``None`` means no limit.
        write: Whether to return also when the socket is writable.

    Returns:
        Whether the socket is readable.

    Raises:
        LateError: The socket did not become ready in time.
    """
    while True:
        part = seconds if seconds is None or seconds < LONGEST_WAIT else LONGEST_WAIT
        readable = session.socket.wait(part, write=write)
        if readable is not None:
            return readable
        if seconds is None or part is None or seconds <= part:
            _give_up(session)
        seconds -= part


async def wait_async(session: PgSession, seconds: float | None, *, write: bool) -> bool:
    """Await, in an event loop, that the session's socket is readable or, if ``write`` is true, writable.

    Args:
        session: The session of the socket.
        seconds: The longest time to wait, seconds; ``None`` means no limit.
        write: Whether to return also when the socket is writable.

    Returns:
        Whether the socket is readable.

    Raises:
        LateError: The socket did not become ready in time.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool | None] = loop.create_future()
    number = session.pgconn.socket
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
    return _give_up(session) if readable is None else readable


def _give_up(session: PgSession) -> NoReturn:
    raise LateError(sent=session.sent)


def _settle(future: asyncio.Future[bool | None], ready: bool | None) -> None:
    if not future.done():
        future.set_result(ready)
