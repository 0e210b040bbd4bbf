"""A function that deletes the rows of idle breakers, one batch of rows after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.sql.dml import ReturningDelete

from cbstore_sql.core.validation import check_name, check_seconds
from cbstore_sql.stores.sql.connections.engine import check_engine, open_single_use_engine
from cbstore_sql.stores.sql.errors import translated
from cbstore_sql.stores.sql.schema.functions import server_clock
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, TABLE_NAME, check_identifier, make_table

MIN_IDLE = 3600.0
"""The smallest value of ``idle_for`` that `prune` accepts, seconds."""

BATCH = 500
"""The largest number of rows that one statement deletes. Each statement is a separate short transaction."""

_ISOLATION = {"postgresql": "READ COMMITTED", "sqlite": "AUTOCOMMIT"}


def is_idle(row: Any, now: Any, idle_for: Any) -> Any:
    """Return whether a breaker has not failed, been open, or had a probe for a given time.

    Like the rules of `cbstore_sql.core.rules`, this function works on numbers and on SQL columns. It compares the last
    failure, the end of the open time, and the end of the probe's lease with ``now``. The latest of the three decides:
    `force_open` sets an open time without a failure. A circuit whose open time ended long ago is idle too, although its
    state is still open: no call has come to probe it.

    Args:
        row: The row of a breaker, or the columns of the table.
        now: The current time, Unix seconds.
        idle_for: The time in seconds.
    """
    since = now - idle_for
    return (row.last_failure_time <= since) & (row.open_until <= since) & (row.probe_until <= since)


def prune(
    url_or_engine: str | URL | Engine,
    *,
    idle_for: float,
    namespace: str | None = None,
    schema: str = DEFAULT_SCHEMA,
    dry_run: bool = False,
) -> int:
    """Delete the rows of breakers that had no failure, no open time and no probe for a long time.

    A deleted breaker reads as closed, like a breaker that was never written. A breaker that was reset counts as idle at
    once, even if a call that began before the reset has not reported yet. On PostgreSQL, this function skips a row that
    another session has locked. Another session waits for this function at most as long as one statement runs.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine.
        idle_for: How long a breaker must be idle, seconds, at least `MIN_IDLE`. Choose more than the longest time for
            which you force a circuit open.
        namespace: Delete only breakers of this namespace; ``None`` means all namespaces.
        schema: The PostgreSQL schema of the table. SQLite ignores this argument.
        dry_run: Whether to count the idle breakers without deleting them.

    Returns:
        The number of deleted breakers; with ``dry_run``, the number of idle breakers.

    Raises:
        ConfigurationError: The database or an argument cannot be used. Nothing was deleted.
        InvalidNameError: The namespace cannot be used. Nothing was deleted.
        StoreError: The database cannot be reached, or refused a statement, for example because the role may not delete.
    """
    seconds = check_seconds("idle_for", idle_for, minimum=MIN_IDLE)
    if namespace is not None:
        check_name("namespace", namespace)
    check_identifier("schema", schema)
    engine = _engine(url_or_engine)
    on_postgresql = engine.dialect.name == "postgresql"
    rows = _IdleRows(make_table(schema if on_postgresql else None), seconds, namespace)
    place = f"table {schema}.{TABLE_NAME}" if on_postgresql else f"table {TABLE_NAME}"
    with _typed_errors(place), engine.connect() as connection:
        connection.execution_options(isolation_level=_ISOLATION[engine.dialect.name])
        return _counted(connection, rows) if dry_run else sum(_removed(connection, rows))


@dataclass(frozen=True)
class _IdleRows:
    """A description of the rows that `prune` deletes.

    Attributes:
        table: The breaker table.
        idle_for: How long a breaker must be idle, seconds.
        namespace: The namespace of the breakers, or ``None`` for all namespaces.
    """

    table: sa.Table
    idle_for: float
    namespace: str | None

    @property
    def key(self) -> tuple[sa.Column[str], sa.Column[str]]:
        """The columns of the primary key. `prune` deletes the rows in the order of the key."""
        return self.table.c.namespace, self.table.c.name

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """The SQL condition that is true for the rows to delete."""
        idle: sa.ColumnElement[bool] = is_idle(self.table.c, server_clock(), self.idle_for)
        return idle if self.namespace is None else idle & (self.table.c.namespace == self.namespace)


def _counted(connection: Connection, rows: _IdleRows) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(rows.table).where(rows.condition)) or 0)


def _removed(connection: Connection, rows: _IdleRows) -> Iterator[int]:
    """Delete batch after batch in the order of the key, and yield the number of deleted rows after each batch."""
    after: tuple[str, str] | None = None
    while True:
        with connection.begin():
            gone = sorted((place, name) for place, name in connection.execute(_delete(rows, after)))
        if not gone:
            return
        yield len(gone)
        after = gone[-1]


def _delete(rows: _IdleRows, after: tuple[str, str] | None) -> ReturningDelete[str, str]:
    batch = sa.select(*rows.key).where(rows.condition).order_by(*rows.key).limit(BATCH)
    if after is not None:
        batch = batch.where(sa.tuple_(*rows.key) > sa.tuple_(*(sa.literal(part) for part in after)))
    # A session that has locked a row is using the breaker. The DELETE repeats the condition, because the row may have
    # changed since the SELECT.
    batch = batch.with_for_update(skip_locked=True)
    return sa.delete(rows.table).where(sa.tuple_(*rows.key).in_(batch), rows.condition).returning(*rows.key)


def _engine(url_or_engine: str | URL | Engine) -> Engine:
    """Return an engine for the database.

    Returns:
        The application's engine if there is one; otherwise a new engine, which keeps no connection open.
    """
    if not isinstance(url_or_engine, Engine):
        return open_single_use_engine(url_or_engine)
    check_engine(url_or_engine)
    return url_or_engine


@contextmanager
def _typed_errors(place: str) -> Iterator[None]:
    with translated(place):
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise (error.orig or error) from None
