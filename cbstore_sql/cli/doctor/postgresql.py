"""The checks of a PostgreSQL database."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from sqlalchemy.engine import Engine

from cbstore_sql.cli.doctor import activity
from cbstore_sql.cli.doctor.findings import Check, Finding, each, note, ok, wrong
from cbstore_sql.cli.doctor.redis import clock_finding
from cbstore_sql.cli.doctor.revision import check_revision
from cbstore_sql.migration.runner import Target
from cbstore_sql.stores.sql.schema.table import TABLE_NAME

_OLDEST_SERVER = 130000
_CANCELS_ASYNCHRONOUSLY = 170000
"""The first version of libpq with PQcancelStart, which cancels a statement without blocking."""

_NOTIFIED_WITHIN = 2.0
_USED = ("SELECT", "INSERT", "UPDATE")


class Examination:
    """Runs the checks of ``cbstore doctor`` on one PostgreSQL database. The checks change nothing in the database.

    Args:
        engine: The engine that opens further connections with the settings of the store.
        connection: A connection of the engine that commits each statement by itself.
        target: The breaker table.
    """

    def __init__(self, engine: Engine, connection: Any, target: Target) -> None:
        self._engine = engine
        self._driver: Any = connection.driver_connection
        self._target = target
        self._table = f"{target.schema}.{TABLE_NAME}"

    def findings(self) -> list[Finding]:
        """Run all checks of this PostgreSQL database and return their findings in the order of the checks."""
        checks: tuple[tuple[str, Check], ...] = (
            ("versions", self.versions),
            ("server", self.server),
            ("table", lambda: check_revision(self._target)),
            ("rights", self.rights),
            ("row-level security", self.row_level_security),
            ("isolation", self.isolation),
            ("encoding", self.encoding),
            ("pooler", self.pooler),
            ("push", self.push),
            ("clock", self.clock),
            ("connections", lambda: activity.connections(self.row)),
            ("autovacuum", lambda: activity.autovacuum(self.row, self._table)),
            ("updates", lambda: activity.updates(self.row, self._table)),
            ("transactions", lambda: activity.transactions(self.row)),
            ("replication", lambda: activity.replication(self.row)),
        )
        return list(each(checks))

    def row(self, statement: str, *parameters: Any) -> tuple[Any, ...]:
        """Run a statement and return the one row of the result.

        Args:
            statement: The SQL text, with ``%s`` for each parameter.
            *parameters: The parameters of the statement.
        """
        row: tuple[Any, ...] = self._driver.execute(statement, parameters or None).fetchone()
        return row

    def versions(self) -> Finding:
        """Check the versions of the PostgreSQL server and of the client libraries psycopg and libpq."""
        number, version = self.row(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
        )
        psycopg: Any = self._engine.dialect.dbapi
        libpq = psycopg.pq.version()
        text = f"PostgreSQL {version}; psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), libpq {libpq // 10000}"
        if number < _OLDEST_SERVER:
            return wrong("versions", text, "use PostgreSQL 13 or newer")
        if libpq < _CANCELS_ASYNCHRONOUSLY:
            advice = "install psycopg[binary] with libpq 17 or newer"
            return note("versions", f"{text}: statements past their deadline are cancelled in a thread", advice)
        return ok("versions", text)

    def server(self) -> Finding:
        """Check that the server accepts writes. A standby does not accept writes."""
        recovery, read_only = self.row("SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')")
        if recovery:
            return wrong("server", "this is a standby: it refuses writes", "name the primary in the URL")
        if read_only == "on":
            text = "default_transaction_read_only is on: it refuses writes"
            return wrong("server", text, "ALTER ROLE … SET default_transaction_read_only = off")
        return ok("server", "a primary that takes writes")

    def rights(self) -> Finding:
        """Check that the current role has the rights on the breaker table that breakers need."""
        (role, usage) = self.row(
            "SELECT current_user, has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = %s",
            self._target.schema,
        ) or (None, False)
        if role is None:
            return note("rights", f"there is no schema {self._target.schema}", "run 'cbstore migrate'")
        advice = f"run 'cbstore grants --runtime {role}' and apply what it prints"
        if not usage:
            return wrong("rights", f"role {role} lacks USAGE on schema {self._target.schema}", advice)
        names = (*_USED, "DELETE")
        # These names need no quotes, because `check_identifier` has checked the schema.
        columns = ", ".join(f"has_table_privilege('{self._table}', '{name}')" for name in names)
        granted = self.row(f"SELECT {columns}")
        missing = [name for name, has in zip(names, granted, strict=True) if not has]
        if set(missing) & set(_USED):
            return wrong("rights", f"role {role} lacks {', '.join(missing)} on {self._table}", advice)
        if missing:
            return note("rights", f"role {role} may not DELETE: it can neither prune nor clear()")
        return ok("rights", f"role {role} may {', '.join(names)}")

    def row_level_security(self) -> Finding:
        """Check that no policy of row-level security hides rows of the breaker table from the current role."""
        (active,) = self.row("SELECT row_security_active(%s)", self._table)
        if active:
            text = "active for this role: hidden rows read as closed circuits"
            return wrong("row-level security", text, f"ALTER TABLE {self._table} DISABLE ROW LEVEL SECURITY")
        return ok("row-level security", "not active for this role")

    def isolation(self) -> Finding:
        """Check that the default isolation level of new transactions is ``read committed`` or ``read uncommitted``."""
        (level,) = self.row("SELECT current_setting('default_transaction_isolation')")
        if level in ("read committed", "read uncommitted"):
            return ok("isolation", f"default is {level}")
        text = f"default is {level}: a contended statement is repeated, which takes more round trips"
        return note("isolation", text, "ALTER ROLE … SET default_transaction_isolation = 'read committed'")

    def encoding(self) -> Finding:
        """Check that the database's encoding is UTF8."""
        (encoding,) = self.row("SELECT current_setting('server_encoding')")
        if encoding == "UTF8":
            return ok("encoding", "UTF8")
        return note("encoding", f"{encoding}: names outside it are refused", "use a database with encoding UTF8")

    def pooler(self) -> Finding:
        """Check whether a connection pooler in transaction mode stands between this process and the server."""
        # At the login, a pooler announces a process id that the pooler made up, not the process id of a server session.
        announced, answering = self._driver.info.backend_pid, self.row("SELECT pg_backend_pid()")[0]
        if announced == answering:
            return ok("pooler", "none: this is a session of the server itself")
        with closing(self._engine.raw_connection()) as other:
            # A transaction pooler gives this transaction the server session that has just answered.
            driver: Any = other.driver_connection
            driver.execute("BEGIN")
            try:
                (now,) = self.row("SELECT pg_backend_pid()")
            finally:
                driver.execute("ROLLBACK")
        if now == answering:
            return ok("pooler", "a pooler in session mode (or with one client): nothing is lost")
        text = "a pooler in transaction mode: statements are not prepared, and push does not work"
        return note("pooler", text, "for push, give the store a URL that bypasses the pooler")

    def push(self) -> Finding:
        """Check that a session with LISTEN receives a notification, because ``push=True`` needs notifications."""
        self._driver.execute("LISTEN cbstore_doctor")
        try:
            with closing(self._engine.raw_connection()) as other:
                sender: Any = other.driver_connection
                sender.execute("NOTIFY cbstore_doctor")
            arrived = list(self._driver.notifies(timeout=_NOTIFIED_WITHIN, stop_after=1))
        finally:
            self._driver.execute("UNLISTEN cbstore_doctor")
        if arrived:
            return ok("push", "LISTEN works: push=True is possible")
        text = "LISTEN hears nothing: with push=True breakers would go on polling"
        return note("push", text, "connect to the server itself, not to a transaction pooler or a standby")

    def clock(self) -> Finding:
        """Check that the server's clock differs from the clock of this machine by at most 2 seconds."""
        before = time.time()
        (server,) = self.row("SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8")
        return clock_finding(server - (before + time.time()) / 2)
