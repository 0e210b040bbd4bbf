"""What `migrations/env.py` does: the table to migrate, and the one transaction in which it is migrated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import sleep
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Engine

from cbstore_sql.errors import ConfigurationError, SchemaError
from cbstore_sql.runtime import environment
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.stores.sql import sqlstates
from cbstore_sql.stores.sql.connections.engine import check_engine, open_single_use_engine, parse_url
from cbstore_sql.stores.sql.errors import is_conflict
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, TABLE_NAME, VERSION_TABLE, check_identifier, make_table

# Seconds: for other migrations to end, for a lock on the table, and between two tries.
_TURN_TIMEOUT = 60.0
_LOCK_TIMEOUT = 5.0
_BACKOFF = ExponentialBackoff(1.0, 4.0)
_ATTEMPTS = 5

# Seconds that one statement of a migration may take, whatever the role's own limit.
_STATEMENT_TIMEOUT = 600.0

# sqlite3.LEGACY_TRANSACTION_CONTROL, which Python has from 3.12 on.
_LEGACY_CONTROL = -1

# alembic names the table's key after it, with four more characters.
_LONGEST_VERSION_TABLE = 59
OURS = "cbstore"
"""Among alembic's options: the run is ours, and not one of the application's own history."""

_DIALECTS = ("postgresql", "sqlite")


@dataclass(frozen=True, slots=True)
class Target:
    """The table to migrate.

    Attributes:
        place: Its database; for SQL that is only printed, the name of a dialect will do.
        schema: Its PostgreSQL schema; SQLite ignores it.
        version_table: The table beside it that says at which revision it is.
        transaction: Whether printed SQL begins and commits a transaction.

    Raises:
        ConfigurationError: The place or a name cannot be used. Nothing has been connected to yet.
    """

    place: str | URL | Engine = field(repr=False)
    schema: str = DEFAULT_SCHEMA
    version_table: str = VERSION_TABLE
    transaction: bool = True

    def __post_init__(self) -> None:
        check_identifier("schema", self.schema)
        check_identifier("version_table", self.version_table)
        if len(self.version_table) > _LONGEST_VERSION_TABLE:
            raise ConfigurationError(f"version_table must be at most {_LONGEST_VERSION_TABLE} characters long")
        if self.version_table == TABLE_NAME:
            raise ConfigurationError(f"version_table must not be {TABLE_NAME}, the table itself")
        if isinstance(self.place, Engine):
            check_engine(self.place)
        elif self.place not in _DIALECTS:
            parse_url(self.place)

    @classmethod
    def of(cls, config: Config) -> Target:
        """Return what the caller put into alembic's configuration, else what the process's environment says."""
        target = config.attributes.get("cbstore")
        return target if isinstance(target, cls) else cls.from_environment()

    @classmethod
    def from_environment(cls, url: str | None = None, schema: str | None = None) -> Target:
        """Take what is not given from ``CBSTORE_URL``, ``CBSTORE_SCHEMA`` and ``CBSTORE_VERSION_TABLE``."""
        return cls(
            url or environment.database_url(),
            schema or environment.schema_name(DEFAULT_SCHEMA),
            environment.version_table_name(VERSION_TABLE),
        )

    @property
    def dialect_name(self) -> str:
        """``"postgresql"`` or ``"sqlite"``."""
        if isinstance(self.place, Engine):
            return self.place.dialect.name
        return str(self.place) if self.place in _DIALECTS else parse_url(self.place).get_backend_name()

    @property
    def table_schema(self) -> str | None:
        """The schema, or ``None`` where there is no such thing."""
        return self.schema if self.dialect_name == "postgresql" else None

    @property
    def table_name(self) -> str:
        """The table as messages call it."""
        return f"table {self.schema}.{TABLE_NAME}" if self.table_schema else f"table {TABLE_NAME}"

    def engine(self) -> Engine:
        """Return the application's engine, or one that keeps no connection."""
        if isinstance(self.place, Engine):
            return self.place
        return open_single_use_engine(self.place)


def run(target: Target) -> None:
    """Do what alembic was asked for, in one transaction; `migrations/env.py` calls it.

    Whoever waits for a lock on the table makes every later statement wait behind it, so that wait is short, and
    taken up again after a pause.
    """
    engine = target.engine()
    for attempt in range(1, _ATTEMPTS):
        try:
            return _run_once(engine, target)
        except sa.exc.DBAPIError as error:
            if not is_locked(error.orig):
                raise
        sleep(_BACKOFF.after(attempt - 1))
    return _run_once(engine, target)


def write_sql(target: Target) -> None:
    """Print what alembic was asked for; `migrations/env.py` calls it."""
    context.configure(dialect_name=target.dialect_name, literal_binds=True, **options_of(target))
    with context.begin_transaction():
        # A script that starts later may be run by a role that could not create the schema.
        if target.table_schema and context.get_starting_revision_argument() in (None, "base"):
            context.execute(sa.schema.CreateSchema(target.schema, if_not_exists=True))
        context.run_migrations()


def _run_once(engine: Engine, target: Target) -> None:
    with engine.connect() as connection, _own_transactions(connection):
        connection.execution_options(isolation_level=_ISOLATION[engine.dialect.name])
        with connection.begin():
            context.configure(connection=connection, **options_of(target))
            # `alembic current` only looks.
            if not context.get_context().opts.get("dont_mutate"):
                _TAKE_TURN[engine.dialect.name](connection, target)
            check_age(target, context.script, context.get_context())
            context.run_migrations()


@contextmanager
def _own_transactions(connection: Connection) -> Iterator[None]:
    """Let SQLAlchemy's transactions be the driver's, whatever the application's engine says; then put it back."""
    # A listener of the application's engine may have begun a transaction, which would keep its isolation.
    connection.connection.rollback()
    driver: Any = connection.connection.driver_connection
    mode = getattr(driver, "autocommit", None)
    if connection.dialect.name == "postgresql" or mode in (None, _LEGACY_CONTROL):
        yield
        return
    # From Python 3.12 on, sqlite3 commits nothing with autocommit=True, and begins by itself with False.
    driver.autocommit = True
    driver.autocommit = _LEGACY_CONTROL
    try:
        yield
    finally:
        driver.autocommit = mode


def check_age(target: Target, scripts: ScriptDirectory, current: MigrationContext) -> None:
    """Find out whether the library knows the table's revision.

    Raises:
        SchemaError: The table is newer.
    """
    known = {script.revision for script in scripts.walk_revisions()}
    if not known.issuperset(current.get_current_heads()):
        raise SchemaError(f"{target.table_name} is newer than this cbstore_sql: upgrade the library")


def _take_turn_postgresql(connection: Connection, target: Target) -> None:
    _set_timeout(connection, "statement_timeout", _STATEMENT_TIMEOUT)
    _set_timeout(connection, "lock_timeout", _TURN_TIMEOUT)
    take_turn(connection, target)
    _set_timeout(connection, "lock_timeout", _LOCK_TIMEOUT)


def take_turn(connection: Connection, target: Target) -> None:
    """Wait for other migrations of the same schema, and make the schema; on PostgreSQL, in the present transaction."""
    key = hashlib.blake2b(f"cbstore:{target.schema}".encode(), digest_size=8).digest()
    number = int.from_bytes(key, "big", signed=True)
    connection.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({number})")
    # IF NOT EXISTS asks for the right to create before it looks.
    if not sa.inspect(connection).has_schema(target.schema):
        connection.execute(sa.schema.CreateSchema(target.schema, if_not_exists=True))


def _set_timeout(connection: Connection, setting: str, seconds: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL {setting} = '{seconds * 1000:.0f}ms'")


def _take_turn_sqlite(connection: Connection, target: Target) -> None:
    # One that reads first cannot wait to write.
    connection.connection.rollback()
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# Each statement of PostgreSQL must see what others committed while this one waited for its turn. SQLite's driver
# must not begin by itself.
_ISOLATION = {"postgresql": "READ COMMITTED", "sqlite": "AUTOCOMMIT"}
_TAKE_TURN = {"postgresql": _take_turn_postgresql, "sqlite": _take_turn_sqlite}


def options_of(target: Target) -> dict[str, Any]:
    """Return what alembic is told about a table."""
    return {
        "target_metadata": make_table(target.table_schema).metadata,
        "version_table": target.version_table,
        "version_table_schema": target.table_schema,
        "include_schemas": target.table_schema is not None,
        "include_name": lambda name, type_, parents: (
            type_ != "table" or (parents["schema_name"], name) == (target.table_schema, TABLE_NAME)
        ),
        "compare_server_default": True,
        # SQLite can do it too: a printed script is one transaction.
        "transactional_ddl": target.transaction,
        OURS: True,
    }


def is_locked(error: BaseException | None) -> bool:
    """Whether a driver's error says that others kept a lock for longer than was waited."""
    return error is not None and (
        is_conflict(error) or getattr(error, "sqlstate", None) == sqlstates.LOCK_NOT_AVAILABLE
    )
