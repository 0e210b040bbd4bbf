"""The store on PostgreSQL or SQLite."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import URL, Engine

from cbstore_sql.commands import Command
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.machine import step
from cbstore_sql.model import Row, Snapshot, Transition
from cbstore_sql.protocol import DEFAULT_PROBE_LEASE, ProtocolStore
from cbstore_sql.stores.sql.decode import to_snapshot, to_transition
from cbstore_sql.stores.sql.engine import autocommitting, check_engine, open_engine
from cbstore_sql.stores.sql.errors import is_conflict, translated
from cbstore_sql.stores.sql.statements import statements_for
from cbstore_sql.stores.sql.table import DEFAULT_SCHEMA, TABLE_NAME, check_identifier

_CONFLICT_ATTEMPTS = 20
_CONFLICT_PAUSE = 0.002

_Values = tuple[Any, ...]


class SqlStore(ProtocolStore):
    """Breakers in one table of a PostgreSQL or SQLite database, shared by everyone who can reach it.

    Each operation is one statement in a transaction of its own, on a connection of its own: the caller's
    transaction, session settings and isolation level are neither seen nor touched. The first-ever failure of a
    breaker adds an ``INSERT … ON CONFLICT``. A lost claim and a success on a clean breaker write nothing.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine, whose pool is then
            shared and never disposed of. A pool of one connection that the caller is holding cannot be shared.
        url: The same by keyword, a URL.
        engine: The same by keyword, an engine.
        namespace: See `Store`.
        schema: The PostgreSQL schema of the table: lower-case letters, digits, underscores. SQLite has none and
            ignores it.
        protocol_probe_lease: See `ProtocolStore`, seconds.

    Raises:
        ConfigurationError: Not exactly one database was given, or it is none the store can work with. Whether the
            table is there shows with the first operation (`SchemaError`).
        InvalidNameError: See `Store`.
        InvalidPolicyError: See `ProtocolStore`.
    """

    def __init__(
        self,
        url_or_engine: str | URL | Engine | None = None,
        *,
        url: str | URL | None = None,
        engine: Engine | None = None,
        namespace: str = "default",
        schema: str = DEFAULT_SCHEMA,
        protocol_probe_lease: float = DEFAULT_PROBE_LEASE,
    ) -> None:
        super().__init__(namespace, protocol_probe_lease=protocol_probe_lease)
        check_identifier("schema", schema)
        given = [choice for choice in (url_or_engine, url, engine) if choice is not None]
        if len(given) != 1:
            raise ConfigurationError("SqlStore needs one database: a URL or an engine")
        self._owned = not isinstance(given[0], Engine)
        self._engine = given[0] if isinstance(given[0], Engine) else open_engine(given[0])
        check_engine(self._engine)
        dialect = self._engine.dialect.name
        self._statements = statements_for(dialect, None if dialect == "sqlite" else schema)
        self._place = f"table {TABLE_NAME}" if dialect == "sqlite" else f"table {schema}.{TABLE_NAME}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._engine.dialect.name}, namespace={self.namespace!r})"

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return every breaker of every namespace in one statement, with its namespace, in order."""
        rows = self._rows(self._statements.read_all, {"now": None})
        return [(namespace, to_snapshot(name, values)) for namespace, name, *values in rows]

    def close(self) -> None:
        """Close the pool if the store opened it; an engine that was handed over is left as it is."""
        if self._owned:
            self._engine.dispose()

    def _read(self, name: str, now: float | None) -> Snapshot:
        values = self._row(self._statements.read, {**self._key(name), "now": now})
        return to_snapshot(name, values or ())

    def _apply(self, command: Command) -> Transition | None:
        given = {**command.given, **self._key(command.name)}
        values = self._row(self._statements.update[command.operation], given)
        if values is None and step(Row(), command, 0.0) is not None:
            values = self._row(self._statements.upsert[command.operation], given)
        return None if values is None else to_transition(command.name, values)

    def _delete(self, name: str) -> None:
        self._rows(self._statements.delete, self._key(name))

    def _key(self, name: str) -> dict[str, str]:
        return {"namespace": self.namespace, "name": name}

    def _row(self, statement: str, parameters: Mapping[str, Any]) -> _Values | None:
        rows = self._rows(statement, parameters)
        return rows[0] if rows else None

    def _rows(self, statement: str, parameters: Mapping[str, Any]) -> list[_Values]:
        with translated(self._place):
            for attempt in range(1, _CONFLICT_ATTEMPTS):
                try:
                    return self._execute(statement, parameters)
                except Exception as error:
                    if not is_conflict(error):
                        raise
                time.sleep(_CONFLICT_PAUSE * attempt * random.random())
            return self._execute(statement, parameters)

    def _execute(self, statement: str, parameters: Mapping[str, Any]) -> list[_Values]:
        with autocommitting(self._engine) as driver:
            cursor = driver.cursor()
            try:
                cursor.execute(statement, parameters)
                # Unfetched rows of a RETURNING keep SQLite's write lock.
                return cursor.fetchall() if cursor.description else []
            finally:
                cursor.close()
