"""The store on PostgreSQL or SQLite."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.engine import URL, Engine

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.core.validation import DEFAULT_MAX_BREAKERS, check_name
from cbstore_sql.runtime import environment, sansio
from cbstore_sql.stores.dict_protocol import DEFAULT_PROBE_LEASE, ProtocolStore
from cbstore_sql.stores.sql.connections.checkout import Checkouts
from cbstore_sql.stores.sql.connections.engine import Durability, check_engine, one_database, open_engine, wants_relaxed
from cbstore_sql.stores.sql.connections.pool import StickyPool
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import session_setup
from cbstore_sql.stores.sql.operations import Query, SqlOperations, Values
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA


class SqlStore(ProtocolStore):
    """Breakers in one table of a PostgreSQL or SQLite database, shared by everyone who can reach it.

    Each operation is one statement in its own transaction, on its own connection: the caller's
    transaction, session settings and isolation level are neither seen nor touched. The first-ever failure of a
    breaker adds a look at how many there are and an ``INSERT … ON CONFLICT``. A lost claim and a success on a clean
    breaker write nothing.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine, whose pool is then
            shared and never disposed of. A pool of one connection that the caller is holding cannot be shared.
        url: The same by keyword, a URL.
        engine: The same by keyword, an engine.
        namespace: See `Store`.
        schema: The PostgreSQL schema of the table: lower-case letters, digits, underscores. SQLite has none and
            ignores it.
        durability: What an operation waits for on PostgreSQL. ``"full"``: that its commit is on disk. ``"relaxed"``:
            counts (failures, successes, renewed leases) do not wait, and a crash of the server loses those of its
            last half second or so; claims, `force_open` and `reset` wait all the same. It needs a URL, since
            its connections are opened with ``synchronous_commit=off``, and takes a second pool. SQLite ignores it.
        max_breakers: How many breakers the namespace may hold, at least 1; an operation that would add one more
            raises `TooManyBreakersError`, those there go on. Processes that add at the same moment may be one too
            many each. ``None`` means any number.
        protocol_probe_lease: See `ProtocolStore`, seconds.

    Raises:
        ConfigurationError: Not exactly one database was given, or it is not supported, or the
            durability is unknown or unavailable, or ``max_breakers`` is out of range. Whether the table
            is there shows with the first operation (`SchemaError`).
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
        durability: Durability = "full",
        max_breakers: int | None = DEFAULT_MAX_BREAKERS,
        protocol_probe_lease: float = DEFAULT_PROBE_LEASE,
    ) -> None:
        super().__init__(namespace, protocol_probe_lease=protocol_probe_lease)
        database = one_database(url_or_engine, url, engine)
        self._owned = not isinstance(database, Engine)
        self._engine = database if isinstance(database, Engine) else open_engine(database)
        check_engine(self._engine)
        self.keeps_deadlines = self._owned
        preparing = Preparing()
        setup = session_setup(self._engine, schema, own=self._owned)
        connections = StickyPool if self._owned else Checkouts
        self._connections: StickyPool | Checkouts = connections(self._engine, preparing, setup)
        self._counting = self._connections
        if wants_relaxed(durability, self._engine, owned=self._owned):
            self._counting = StickyPool(open_engine(self._engine.url, relaxed=True), preparing, setup)
        self._queries = SqlOperations(self._engine.dialect.name, schema, self.namespace, max_breakers)

    @classmethod
    def from_env(cls, **kwargs: Any) -> SqlStore:
        """Open the store that ``CBSTORE_URL``, ``CBSTORE_NAMESPACE`` and ``CBSTORE_SCHEMA`` name.

        Args:
            **kwargs: What the class takes, without the database; they win over the environment.

        Raises:
            ConfigurationError: ``CBSTORE_URL`` is not set or cannot be used.
        """
        names = {
            "namespace": environment.namespace_name("default"),
            "schema": environment.schema_name(DEFAULT_SCHEMA),
        }
        return cls(environment.required_url(), **{**names, **kwargs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._engine.dialect.name}, namespace={self.namespace!r})"

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return every breaker of every namespace in one statement, with its namespace, in order."""
        return sansio.run(self._queries.read_all(), self._execute)

    def close(self) -> None:
        """Close the pool if the store opened it; an engine that was handed over is left as it is."""
        self._counting.close()
        self._connections.close()

    def _for_namespace(self, namespace: str) -> SqlStore:
        """Return a store for another namespace that shares the connections, which stay this store's to close."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, namespace=check_name("namespace", namespace))
        other._queries = self._queries.for_namespace(namespace)
        return other

    def _read(self, name: str, now: float | None) -> Snapshot:
        return sansio.run(self._queries.read(name, now), self._execute)

    def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        return sansio.run(self._queries.read_many(names, now), self._execute)

    def _apply(self, command: Command) -> Transition | None:
        return sansio.run(self._queries.apply(command), self._execute)

    def _history(self, name: str) -> str:
        return sansio.run(self._queries.history(name), self._execute)

    def _delete(self, name: str) -> None:
        sansio.run(self._queries.delete(name), self._execute)

    def _execute(self, query: Query) -> list[Values]:
        if query.pause:
            time.sleep(query.pause)
        return (self._connections if query.durable else self._counting).execute(query)
