"""The limit: the same steps by hand, one prepared statement each, on a connection that is kept open.

The statements do on the library's own table what its operations do, for one policy that is written into them, and
decide in the same atomic way. What they leave out is everything else: no permit, no backoff, no typed error.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol

import psycopg
from psycopg.types.numeric import Int8
from psycopg.types.string import StrBinaryDumper

from benchmarks.servers import RELAXED, Servers
from cbstore_sql import BreakerPolicy, Permit
from cbstore_sql.core import commands
from cbstore_sql.stores.sql.operations import SqlOperations
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA

_TRIPS = "(state = 'half_open' OR state = 'closed' AND failure_count + 1 >= 1000000000)"
_RETURNED = "RETURNING state, previous_state, generation, failure_count, open_until, probe_token, probe_until, {clock}"
_KEY = "WHERE namespace = {p} AND name = {p}"

READ = f"SELECT state, generation, failure_count, open_until, probe_token, probe_until, {{clock}} FROM {{table}} {_KEY}"

FAIL = f"""UPDATE {{table}} SET previous_state = state, failure_count = failure_count + 1,
last_failure_time = {{clock}},
state = CASE WHEN {_TRIPS} THEN 'open' ELSE state END,
generation = CASE WHEN {_TRIPS} THEN generation + 1 ELSE generation END,
open_until = CASE WHEN {_TRIPS} THEN {{clock}} + 60.0 ELSE open_until END
{_KEY} {_RETURNED}"""

SUCCEED = f"""UPDATE {{table}} SET previous_state = state, state = 'closed', failure_count = 0,
generation = CASE WHEN state = 'half_open' THEN generation + 1 ELSE generation END, probe_token = '', probe_until = 0.0
{_KEY} AND (state = 'half_open' OR state = 'closed' AND failure_count > 0) {_RETURNED}"""

CLAIM = f"""UPDATE {{table}} SET previous_state = state, state = 'half_open', generation = generation + 1,
probe_token = 'somebody', probe_until = {{clock}} + 60.0
{_KEY} AND (state = 'open' AND open_until <= {{clock}} OR state = 'half_open' AND probe_until <= {{clock}})
{_RETURNED}"""

OPEN = f"""UPDATE {{table}} SET previous_state = state, state = 'open', generation = generation + 1,
open_until = {{clock}} + {{p}}, probe_token = '', probe_until = 0.0 {_KEY}"""

MAKE = "INSERT INTO {table} (namespace, name) VALUES ({p}, {p}) ON CONFLICT DO NOTHING"

POSTGRES = {
    "p": "%s",
    "table": "cbstore.breakers",
    "clock": "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)",
}
SQLITE = {"p": "?", "table": "breakers", "clock": "((julianday('now') - 2440587.5) * 86400.0)"}


_GENERATION = f"SELECT generation FROM {{table}} {_KEY}".format(**POSTGRES)


class Cursor(Protocol):
    """What both drivers' cursors share."""

    def execute(self, query: Any, parameters: Sequence[object]) -> Any:
        """Carry out one statement."""

    def fetchall(self) -> list[Any]:
        """Return its rows."""


class RawOperations:
    """The operations by hand on a driver's cursor.

    Args:
        cursor: Is used for every statement.
        spelling: How the dialect writes what the statements leave open.
        namespace: Whose breakers.
    """

    def __init__(self, cursor: Cursor, spelling: dict[str, str], namespace: str) -> None:
        self._cursor = cursor
        self._namespace = namespace
        texts = (text.format(**spelling) for text in (READ, FAIL, SUCCEED, CLAIM, OPEN, MAKE))
        self._read, self._fail, self._succeed, self._claim, self._open, self._make = texts

    def make(self, names: Sequence[str]) -> None:
        """Make the rows."""
        for name in names:
            self._cursor.execute(self._make, (self._namespace, name))

    def read(self, name: str) -> object:
        """Read one breaker."""
        return self._rows(self._read, self._namespace, name)

    def fail(self, name: str) -> object:
        """Count one failure."""
        return self._rows(self._fail, self._namespace, name)

    def succeed(self, name: str) -> object:
        """Clear the count, if there is one."""
        return self._rows(self._succeed, self._namespace, name)

    def open(self, name: str, seconds: float) -> object:
        """Open the circuit."""
        return self._cursor.execute(self._open, (seconds, self._namespace, name))

    def claim(self, name: str) -> object:
        """Try to become the owner of the probe."""
        return self._rows(self._claim, self._namespace, name)

    def _rows(self, statement: str, *parameters: object) -> list[Any]:
        self._cursor.execute(statement, parameters)
        return self._cursor.fetchall()


class SameStatement(RawOperations):
    """The operations by hand, but a failure is counted by the statement that the library sends, with the same values.

    What this leaves out is the library's part of the work in the client.

    Args:
        connection: Is used for every statement.
        namespace: Whose breakers.
        policy: What the failures are counted by.
        guarded: Whether the statement is that of a guarded call, which has the permit of a closed circuit.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], namespace: str, policy: BreakerPolicy, *, guarded: bool
    ) -> None:
        super().__init__(connection.cursor(binary=True), POSTGRES, namespace)
        self._operations = SqlOperations("postgresql", DEFAULT_SCHEMA, namespace, None)
        self._policy = policy
        self._guarded = guarded
        # The statement has numbered parameters, as the server has them, and only a raw cursor takes these.
        self._numbered = psycopg.RawCursor(connection)
        self._numbered.format = psycopg.pq.Format.BINARY
        # psycopg would leave the type of a text to the server.
        self._numbered.adapters.register_dumper(str, StrBinaryDumper)
        self._known: dict[str, tuple[bytes, list[object]]] = {}

    def fail(self, name: str) -> object:
        """Count one failure."""
        if name not in self._known:
            self._known[name] = self._statement(name)
        self._numbered.execute(*self._known[name])
        return self._numbered.fetchall()

    def _statement(self, name: str) -> tuple[bytes, list[object]]:
        target = Permit(name, self._rows(_GENERATION, self._namespace, name)[0][0]) if self._guarded else name
        update = self._operations.update(commands.record_failure(target, self._policy, 1, None, None))
        given = (update.parameters[name] for name, _ in update.statement.parameters)
        # psycopg would send a smaller type of the server for a smaller number.
        return update.statement.command, [Int8(value) if isinstance(value, int) else value for value in given]


@contextmanager
def same_statement(servers: Servers, policy: BreakerPolicy, *, guarded: bool = False) -> Iterator[SameStatement]:
    """Open a psycopg connection whose commits do not wait for the disk, and count by the library's own statement.

    Args:
        servers: Where.
        policy: What the failures are counted by.
        guarded: Whether the statement is that of a guarded call.
    """
    namespace = f"{servers.namespace}/raw/{policy.failures_to_trip}/{guarded}"
    with psycopg.connect(servers.conninfo, autocommit=True, prepare_threshold=0, options=RELAXED) as connection:
        yield SameStatement(connection, namespace, policy, guarded=guarded)


@contextmanager
def raw_psycopg(servers: Servers, *, relaxed: bool = False) -> Iterator[RawOperations]:
    """Open a psycopg connection that commits by itself, with one binary cursor.

    Args:
        servers: Where.
        relaxed: Whether commits do not wait for the disk.
    """
    options = RELAXED if relaxed else ""
    with psycopg.connect(servers.conninfo, autocommit=True, prepare_threshold=0, options=options) as connection:
        yield RawOperations(connection.cursor(binary=True), POSTGRES, servers.namespace + "/raw")


@contextmanager
def raw_sqlite(servers: Servers) -> Iterator[RawOperations]:
    """Open a sqlite3 connection that commits by itself."""
    with closing(sqlite3.connect(servers.sqlite_file, isolation_level=None, timeout=60.0)) as connection:
        yield RawOperations(connection.cursor(), SQLITE, servers.namespace + "/raw")


@contextmanager
def raw_psycopg_async(
    servers: Servers, loop: asyncio.AbstractEventLoop, *, relaxed: bool = False
) -> Iterator[Callable[[str], Awaitable[object]]]:
    """Open an asynchronous psycopg connection that commits by itself, and count failures through it.

    Args:
        servers: Where; the rows are those of `raw_psycopg`.
        loop: In which it is awaited.
        relaxed: Whether commits do not wait for the disk.
    """
    options = RELAXED if relaxed else ""
    connecting = psycopg.AsyncConnection.connect(
        servers.conninfo, autocommit=True, prepare_threshold=0, options=options
    )
    connection = loop.run_until_complete(connecting)
    cursor = connection.cursor(binary=True)
    statement, namespace = FAIL.format(**POSTGRES).encode(), servers.namespace + "/raw"

    async def fail(name: str) -> object:
        await cursor.execute(statement, (namespace, name))
        return await cursor.fetchall()

    try:
        yield fail
    finally:
        loop.run_until_complete(connection.close())
