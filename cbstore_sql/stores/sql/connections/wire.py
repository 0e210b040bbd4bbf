"""Reading the server's answer from a libpq connection, without waiting.

The functions are generators that yield a request to wait for the socket; `cbstore_sql.stores.sql.connections.drive`
waits.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus

from cbstore_sql.stores.sql.retry import NotSentError

Wire = Generator[bool, bool, Any]
"""A generator that yields whether to wait until the socket is writable, and receives whether the socket is readable."""

_GOOD = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})


def unsent(steps: Wire) -> Wire:
    """Run a generator before the statement of the caller is sent, and return the generator's result.

    Args:
        steps: The generator.

    Raises:
        NotSentError: The generator raised an error.
    """
    try:
        return (yield from steps)
    except Exception as error:
        raise NotSentError(error) from error


def answer(pgconn: Any) -> Wire:
    """Send the queued messages, wait for the complete answer of the server and return the result.

    A result arrives before the commit, and the commit may still fail. So this generator reads on until the server has
    no more results, and returns the first result that is an error, else the last result. In pipeline mode, it reads
    until the next synchronization point.

    Args:
        pgconn: The libpq connection, in pipeline mode or not.

    Raises:
        psycopg.Error: The server reported an error, or the connection was lost.
    """
    while pgconn.flush():
        if (yield True):
            pgconn.consume_input()
    is_piped = pgconn.pipeline_status != PipelineStatus.OFF
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
            if is_piped and pgconn.status == ConnStatus.OK:
                continue  # the end of one statement; the synchronization point follows
            break
        if is_piped and result.status == ExecStatus.PIPELINE_SYNC:
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
