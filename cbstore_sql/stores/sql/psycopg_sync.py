"""One statement on a psycopg cursor in autocommit."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from cbstore_sql.stores.sql.engine import BEGIN_PINNED, COMMIT, ROLLBACK
from cbstore_sql.stores.sql.queries import Query, Values


def execute_on(cursor: Any, query: Query) -> list[Values]:
    """Execute a statement in a transaction of its own and fetch its rows."""
    if not query.pinned:
        return _execute(cursor, query)
    cursor.execute(BEGIN_PINNED)
    try:
        rows = _execute(cursor, query)
        cursor.execute(COMMIT)
    except Exception:
        with suppress(Exception):
            cursor.execute(ROLLBACK)
        raise
    return rows


def _execute(cursor: Any, query: Query) -> list[Values]:
    cursor.execute(query.statement, query.parameters)
    # Its description would be put together anew each time, column by column.
    rows: list[Values] = [] if cursor.rownumber is None else cursor.fetchall()
    return rows
