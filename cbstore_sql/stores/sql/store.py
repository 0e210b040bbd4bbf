"""The store that keeps breakers in PostgreSQL or SQLite."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.engine import URL, Engine

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
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
    """A store that keeps its breakers in one table of a PostgreSQL or SQLite database.

    All processes that use the same database, schema and namespace share the breakers.

    Each operation is one statement in its own transaction, on a connection that the caller's code does not use. The
    store neither sees nor changes the caller's transaction, session settings and isolation level. When a breaker fails
    for the first time, the store also counts the breakers of the namespace and runs an ``INSERT … ON CONFLICT``. A
    claim of the probe that another caller wins, and a success of a breaker without failures, write nothing.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine. The store takes
            connections from the pool of an engine and never disposes of the engine. The pool needs at least one
            connection that the caller does not hold during an operation.
        url: The database as a URL, by keyword. Give only one of ``url_or_engine``, ``url`` and ``engine``.
        engine: The database as an engine, by keyword.
        namespace: The name that separates the breakers of this application from others in the table; at most 512 bytes
            of UTF-8.
        schema: The PostgreSQL schema of the table: lower-case letters, digits, underscores. SQLite has no schemas, so
            the store ignores this argument there.
        durability: Whether a commit on PostgreSQL waits for the disk. With ``"full"``, each operation waits until the
            commit is on disk. With ``"relaxed"``, counts (failures, successes, renewals of a probe) do not wait, and a
            crash of the server can lose the counts of the last half second or so. Claims of a probe, `force_open` and
            `reset` wait in both cases. ``"relaxed"`` needs a URL, because the store opens a second pool with
            ``synchronous_commit=off``. SQLite ignores ``"relaxed"``.
        max_breakers: How many breakers the namespace may hold, at least 1. An operation that would add one more breaker
            raises `TooManyBreakersError`; operations on existing breakers still work. Processes that add breakers at
            the same moment may each exceed the limit by one. ``None`` means any number.
        protocol_probe_lease: The seconds for which a probe belongs to its owner if it was claimed through the methods
            of MassGen's stores; at least 0.001. See `ProtocolStore`.

    Raises:
        ConfigurationError: No database or more than one database was given, or the database is not supported, or the
            durability is unknown or unavailable, or ``max_breakers`` is out of range. The constructor does not connect:
            if the table is missing, the first operation raises `SchemaError`.
        InvalidNameError: The namespace is too long or has characters that a store cannot keep.
        InvalidPolicyError: ``protocol_probe_lease`` is out of range.
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
        # The pool that sends successes, if there is one: a connection that still owes an answer must not return to the
        # application's pool, and SQLite has no server to send to.
        self._sender: StickyPool | None = None
        if self._engine.dialect.name == "postgresql" and isinstance(self._counting, StickyPool):
            self._sender = self._counting
        self._queries = SqlOperations(self._engine.dialect.name, schema, self.namespace, max_breakers)

    @classmethod
    def from_env(cls, **kwargs: Any) -> SqlStore:
        """Make a store from the environment variables ``CBSTORE_URL``, ``CBSTORE_NAMESPACE`` and ``CBSTORE_SCHEMA``.

        Args:
            **kwargs: The keyword arguments of the class, without the database. ``namespace`` and ``schema`` are used in
                place of the environment variables.

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
        """Read all breakers of all namespaces in one statement.

        Returns:
            Pairs of namespace and snapshot, ordered by namespace and name.

        Raises:
            StoreError: The database cannot be reached, or the table cannot be read.
        """
        return sansio.run(self._queries.read_all(), self._execute)

    def close(self) -> None:
        """Close the connections that the store opened for a URL. The application's own engine stays open."""
        self._counting.close()
        self._connections.close()

    def _for_namespace(self, namespace: str) -> SqlStore:
        """Return a store for another namespace that uses the same connections.

        Args:
            namespace: The namespace of the returned store.

        Raises:
            InvalidNameError: The namespace is not valid; see `Store`.
        """
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

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send a success without waiting, if an idle connection can send at once; see `Store.send_success`."""
        return self._sender is not None and self._sender.send(self._queries.success(permit, policy))

    def _history(self, name: str) -> str:
        return sansio.run(self._queries.history(name), self._execute)

    def _delete(self, name: str) -> None:
        sansio.run(self._queries.delete(name), self._execute)

    def _execute(self, query: Query) -> list[Values]:
        if query.pause:
            time.sleep(query.pause)
        return (self._connections if query.durable else self._counting).execute(query)
