"""The functions that ``migrations/env.py`` calls: they migrate the breaker table in one transaction."""

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

# Seconds to wait for other migrations to end, for a lock on the table, and between two attempts.
_TURN_TIMEOUT = 60.0
_LOCK_TIMEOUT = 5.0
_BACKOFF = ExponentialBackoff(1.0, 4.0)
_ATTEMPTS = 5

# Seconds that one statement of a migration may take. This replaces the role's statement_timeout.
_STATEMENT_TIMEOUT = 600.0

# The value of sqlite3.LEGACY_TRANSACTION_CONTROL, a constant that Python has from 3.12 on.
_LEGACY_CONTROL = -1

# alembic names the primary key "<version table>_pkc", and PostgreSQL allows 63 characters.
_LONGEST_VERSION_TABLE = 59
OURS = "cbstore"
"""An option of alembic that marks a run of the library, as opposed to a run of the application's own history."""

_DIALECTS = ("postgresql", "sqlite")


@dataclass(frozen=True, slots=True)
class Target:
    """The database and the names of one breaker table that alembic migrates.

    Attributes:
        place: The database: a URL or an engine. To print SQL, ``"postgresql"`` or ``"sqlite"`` is enough.
        schema: The PostgreSQL schema of the breaker table; SQLite ignores the schema.
        version_table: The name of alembic's table, in the same schema, that holds the revision of the breaker table.
        transaction: Whether printed SQL begins and commits a transaction.

    Raises:
        ConfigurationError: ``place`` or a name is not valid. The constructor does not connect to the database.
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
        """Return the breaker table that an alembic command must migrate.

        Args:
            config: The configuration of the alembic command.

        Returns:
            The target that the library put into the configuration. If the user started alembic, a target from the
            environment variables; see `from_environment`.

        Raises:
            ConfigurationError: A value in the environment is not valid.
        """
        target = config.attributes.get("cbstore")
        return target if isinstance(target, cls) else cls.from_environment()

    @classmethod
    def from_environment(cls, url: str | None = None, schema: str | None = None) -> Target:
        """Return a target from ``CBSTORE_URL``, ``CBSTORE_SCHEMA`` and ``CBSTORE_VERSION_TABLE``.

        Args:
            url: The URL of the database. ``None`` means ``CBSTORE_URL`` or, if the variable is not set, the SQLite file
                ``cbstore.db`` in the current directory.
            schema: The PostgreSQL schema. ``None`` means ``CBSTORE_SCHEMA`` or, if the variable is not set,
                ``cbstore``.

        Raises:
            ConfigurationError: A value is not valid.
        """
        return cls(
            url or environment.database_url(),
            schema or environment.schema_name(DEFAULT_SCHEMA),
            environment.version_table_name(VERSION_TABLE),
        )

    @property
    def dialect_name(self) -> str:
        """The kind of the database: ``"postgresql"`` or ``"sqlite"``."""
        if isinstance(self.place, Engine):
            return self.place.dialect.name
        return str(self.place) if self.place in _DIALECTS else parse_url(self.place).get_backend_name()

    @property
    def table_schema(self) -> str | None:
        """The schema of the breaker table, or ``None`` on SQLite, which has no schemas."""
        return self.schema if self.dialect_name == "postgresql" else None

    @property
    def table_name(self) -> str:
        """The breaker table's name with the word "table" before it, for messages: ``"table cbstore.breakers"``."""
        return f"table {self.schema}.{TABLE_NAME}" if self.table_schema else f"table {TABLE_NAME}"

    def engine(self) -> Engine:
        """Return an SQLAlchemy engine for the database.

        Returns:
            The application's engine if ``place`` is an engine; otherwise a new engine, which keeps no connection open.
        """
        if isinstance(self.place, Engine):
            return self.place
        return open_single_use_engine(self.place)


def run(target: Target) -> None:
    """Run the alembic command that is in progress, in one transaction. ``migrations/env.py`` calls this function.

    A session that waits for a lock on the table makes all later statements of other sessions wait too. So each attempt
    to migrate waits only a few seconds for the lock. If the attempt fails, the next attempt follows after a pause.

    Args:
        target: The table to migrate.

    Raises:
        SchemaError: A newer version of the library has already migrated the table.
        sqlalchemy.exc.DBAPIError: A statement failed, or the table was locked during every attempt.
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
    """Print the SQL of the alembic command that is in progress. ``migrations/env.py`` calls this function.

    Args:
        target: The table to migrate. The function does not connect to the database.
    """
    context.configure(dialect_name=target.dialect_name, literal_binds=True, **options_of(target))
    with context.begin_transaction():
        # A script that starts at a later revision does not create the schema: the role may lack the right.
        if target.table_schema and context.get_starting_revision_argument() in (None, "base"):
            context.execute(sa.schema.CreateSchema(target.schema, if_not_exists=True))
        context.run_migrations()


def _run_once(engine: Engine, target: Target) -> None:
    with engine.connect() as connection, _own_transactions(connection):
        connection.execution_options(isolation_level=_ISOLATION[engine.dialect.name])
        with connection.begin():
            context.configure(connection=connection, **options_of(target))
            # `alembic current` only reads, so it need not wait for other migrations.
            if not context.get_context().opts.get("dont_mutate"):
                _TAKE_TURN[engine.dialect.name](connection, target)
            check_age(target, context.script, context.get_context())
            context.run_migrations()


@contextmanager
def _own_transactions(connection: Connection) -> Iterator[None]:
    """Roll back an open transaction and, on SQLite, give SQLAlchemy control of transactions during the block."""
    # A listener of the application's engine may have begun a transaction, which would keep its isolation level.
    connection.connection.rollback()
    driver: Any = connection.connection.driver_connection
    mode = getattr(driver, "autocommit", None)
    if connection.dialect.name == "postgresql" or mode in (None, _LEGACY_CONTROL):
        yield
        return
    # From Python 3.12 on, commit() of sqlite3 does nothing with autocommit=True, and with False sqlite3 itself begins
    # each transaction.
    driver.autocommit = True
    driver.autocommit = _LEGACY_CONTROL
    try:
        yield
    finally:
        driver.autocommit = mode


def check_age(target: Target, scripts: ScriptDirectory, current: MigrationContext) -> None:
    """Raise an exception if a newer version of the library has migrated the table.

    Args:
        target: The table, which the error message names.
        scripts: The migration scripts of the library, with all revisions that it knows.
        current: The alembic context from which the function reads the revision of the table.

    Raises:
        SchemaError: The table has a revision that the library does not know.
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
    """Wait until other migrations of the same PostgreSQL schema have ended, and then create a missing schema.

    The function takes an advisory lock, which the server releases at the end of the current transaction.

    Args:
        connection: A connection in a transaction.
        target: The table to migrate.
    """
    key = hashlib.blake2b(f"cbstore:{target.schema}".encode(), digest_size=8).digest()
    number = int.from_bytes(key, "big", signed=True)
    connection.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({number})")
    # CREATE SCHEMA IF NOT EXISTS needs the right to create a schema even if the schema exists. So look first.
    if not sa.inspect(connection).has_schema(target.schema):
        connection.execute(sa.schema.CreateSchema(target.schema, if_not_exists=True))


def _set_timeout(connection: Connection, setting: str, seconds: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL {setting} = '{seconds * 1000:.0f}ms'")


def _take_turn_sqlite(connection: Connection, target: Target) -> None:
    # In SQLite, a transaction that begins with a read cannot wait for another writer later.
    connection.connection.rollback()
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# On PostgreSQL, each statement must see the changes that other sessions committed while this session waited for its
# turn. SQLite's driver must not begin a transaction by itself.
_ISOLATION = {"postgresql": "READ COMMITTED", "sqlite": "AUTOCOMMIT"}
_TAKE_TURN = {"postgresql": _take_turn_postgresql, "sqlite": _take_turn_sqlite}


def options_of(target: Target) -> dict[str, Any]:
    """Return the keyword arguments of ``context.configure`` for an alembic run that migrates a breaker table.

    Args:
        target: The table to migrate.
    """
    return {
        "target_metadata": make_table(target.table_schema).metadata,
        "version_table": target.version_table,
        "version_table_schema": target.table_schema,
        "include_schemas": target.table_schema is not None,
        "include_name": lambda name, type_, parents: (
            type_ != "table" or (parents["schema_name"], name) == (target.table_schema, TABLE_NAME)
        ),
        "compare_server_default": True,
        # SQLite can also change tables in a transaction, so a printed script is one transaction.
        "transactional_ddl": target.transaction,
        OURS: True,
    }


def is_locked(error: BaseException | None) -> bool:
    """Return whether an error of the driver means that another session did not release a lock in time.

    Args:
        error: The error of the driver, or ``None``, for which the function returns ``False``.
    """
    return error is not None and (
        is_conflict(error) or getattr(error, "sqlstate", None) == sqlstates.LOCK_NOT_AVAILABLE
    )
