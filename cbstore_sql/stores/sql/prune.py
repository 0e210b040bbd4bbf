"""Finds the rows of unused breakers and deletes them in small steps."""

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
"""The shortest time, in seconds, after which a breaker counts as idle."""

BATCH = 500
"""How many rows one statement removes: each is a separate short transaction."""

_ISOLATION = {"postgresql": "READ COMMITTED", "sqlite": "AUTOCOMMIT"}


def is_idle(row: Any, now: Any, idle_for: Any) -> Any:
    """Whether everything a breaker remembers is older than ``idle_for``: last failure, open time and probe.

    Like the rules of `cbstore_sql.core.rules` it reads numbers and columns alike. All three are moments or 0, and any
    may be the latest: a circuit forced open has a deadline that no failure made. An open circuit that is idle
    has been waiting for a probe all that time without a call; forgetting it closes it.
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
    """Forget the breakers of a database that have had no failure, no open time and no probe for long.

    A forgotten breaker reads as closed and clean, as one that was never written. A breaker that was reset remembers
    nothing and counts as idle at once; a call that began before may then still report. Rows that another session is
    writing to are left alone, and no session waits longer than one statement takes.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine.
        idle_for: Seconds, at least `MIN_IDLE`. Choose more than the longest time a circuit is forced open for.
        namespace: Only its breakers; ``None`` means those of all.
        schema: See `SqlStore`.
        dry_run: Only count them.

    Returns:
        How many there were.

    Raises:
        ConfigurationError: The database or an argument cannot be used; nothing was deleted.
        StoreError: The database cannot be reached, or refused, for one because the role may not delete.
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
    """The rows to forget.

    Attributes:
        table: Whose.
        idle_for: See `prune`.
        namespace: See `prune`.
    """

    table: sa.Table
    idle_for: float
    namespace: str | None

    @property
    def key(self) -> tuple[sa.Column[str], sa.Column[str]]:
        """What a row is known by, and the order in which they are removed."""
        return self.table.c.namespace, self.table.c.name

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """Which they are."""
        idle: sa.ColumnElement[bool] = is_idle(self.table.c, server_clock(), self.idle_for)
        return idle if self.namespace is None else idle & (self.table.c.namespace == self.namespace)


def _counted(connection: Connection, rows: _IdleRows) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(rows.table).where(rows.condition)) or 0)


def _removed(connection: Connection, rows: _IdleRows) -> Iterator[int]:
    """Delete batch after batch in the order of the key; yield how many each was."""
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
    # Whoever holds a row is using the breaker. The condition is asked once more of the row as it is when deleted.
    batch = batch.with_for_update(skip_locked=True)
    return sa.delete(rows.table).where(sa.tuple_(*rows.key).in_(batch), rows.condition).returning(*rows.key)


def _engine(url_or_engine: str | URL | Engine) -> Engine:
    """Return the application's engine, or one that keeps no connection."""
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
