"""Statements that need a transaction around them: generators over a libpq connection, as in ``wire.py``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from psycopg.pq import TransactionStatus

from cbstore_sql.stores.sql.connections.wire import Wire, answer, unsent


def pinned(pgconn: Any, steps: Wire) -> Wire:
    """Run a statement in a READ COMMITTED transaction, whatever the default isolation level of the session is.

    Args:
        pgconn: The libpq connection.
        steps: A generator that runs the statement.

    Returns:
        What ``steps`` returns.
    """
    if pgconn.transaction_status != TransactionStatus.IDLE:
        # A listener of the application's engine began a transaction, whose isolation level cannot change any more.
        yield from unsent(_simple(pgconn, b"COMMIT"))
    yield from unsent(_simple(pgconn, b"BEGIN ISOLATION LEVEL READ COMMITTED"))
    try:
        rows = yield from steps
        yield from _simple(pgconn, b"COMMIT")
    except Exception:
        with suppress(Exception):
            yield from _simple(pgconn, b"ROLLBACK")
        raise
    return rows


def joined(pgconn: Any, steps: Wire) -> Wire:
    """Run a statement in the transaction that a listener of the application's engine began, then commit.

    If that transaction has failed, roll back first.

    Args:
        pgconn: The libpq connection.
        steps: A generator that runs the statement.

    Returns:
        What ``steps`` returns.
    """
    if pgconn.transaction_status == TransactionStatus.INERROR:
        yield from unsent(_simple(pgconn, b"ROLLBACK"))
        return (yield from steps)
    rows = yield from steps
    yield from _simple(pgconn, b"COMMIT")
    return rows


def _simple(pgconn: Any, command: bytes) -> Wire:
    pgconn.send_query_params(command, None)
    return (yield from answer(pgconn))
