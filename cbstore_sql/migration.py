"""The migrations of the breaker table: from code, for the ``cbstore`` command, and for alembic's own command.

The table has a revision tree, a version table and, on PostgreSQL, a schema of its own, so that it meets none of the
application's migrations. The revisions themselves stand in ``migrations/``.
"""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import URL, Connection, Engine

from cbstore_sql import environment
from cbstore_sql.errors import ConfigurationError, StoreConflictError, StoreError
from cbstore_sql.stores.sql.engine import check_engine, parse_url
from cbstore_sql.stores.sql.errors import is_conflict, translated
from cbstore_sql.stores.sql.table import DEFAULT_SCHEMA, TABLE_NAME, VERSION_TABLE, check_identifier, make_table

IncludeName = Callable[[str | None, str, Any], bool]

# Seconds: for other migrations to end, for a lock on the table, and between two tries.
_TURN_TIMEOUT = 60.0
_LOCK_TIMEOUT = 5.0
_PAUSE = 1.0
_ATTEMPTS = 5

_LOCK_NOT_AVAILABLE = "55P03"
_DENIED = "42501"

# alembic keeps its current environment in module globals.
_ALEMBIC = threading.Lock()


@dataclass(frozen=True, slots=True)
class Target:
    """The table to migrate.

    Attributes:
        place: Its database; for SQL that is only printed, the name of a dialect will do.
        schema: Its PostgreSQL schema; SQLite ignores it.
        version_table: The table beside it that says at which revision it is.

    Raises:
        ConfigurationError: The place or a name cannot be used. Nothing has been connected to yet.
    """

    place: str | URL | Engine
    schema: str = DEFAULT_SCHEMA
    version_table: str = VERSION_TABLE

    def __post_init__(self) -> None:
        check_identifier("schema", self.schema)
        check_identifier("version_table", self.version_table)
        if self.version_table == TABLE_NAME:
            raise ConfigurationError(f"version_table must not be {TABLE_NAME}, the table itself")
        if not isinstance(self.place, Engine) and self.place not in ("postgresql", "sqlite"):
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
        return str(self.place) if self.place in ("postgresql", "sqlite") else parse_url(self.place).get_backend_name()

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
        engine = self.place
        if not isinstance(engine, Engine):
            engine = sa.create_engine(parse_url(engine), poolclass=sa.NullPool, hide_parameters=True)
        check_engine(engine)
        return engine


def migrate(
    url_or_engine: str | URL | Engine,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
    revision: str = "head",
) -> None:
    """Create the breaker table, or bring it to a later revision, in one transaction of its own.

    Any number of processes may do this at once: one works, the others wait for it and find nothing left to do.
    Logging is not configured; alembic reports to the logger ``alembic``.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine.
        schema: The PostgreSQL schema of the table, made if it is missing. SQLite has none and ignores it.
        version_table: The table, in the same schema, that says at which revision the breaker table is.
        revision: Where to go: ``"head"``, a revision, or steps such as ``"+1"``.

    Raises:
        ConfigurationError: The database, a name or the revision cannot be used.
        StoreConflictError: Another session kept the table locked through every try.
        StoreUnavailableError: The database cannot be reached.
        StoreError: The database refused, for one because the role may not create or change the table.
    """
    _carry_out(command.upgrade, Target(url_or_engine, schema, version_table), revision)


def downgrade(
    url_or_engine: str | URL | Engine,
    revision: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
) -> None:
    """Take the breaker table back to an earlier revision; what only later revisions keep is lost.

    Args:
        url_or_engine: See `migrate`.
        revision: Where to go: a revision, steps such as ``"-1"``, or ``"base"``, which drops the table and leaves
            the schema and an empty version table.
        schema: See `migrate`.
        version_table: See `migrate`.

    Raises:
        ConfigurationError: See `migrate`, as for the other errors.
        StoreConflictError: See `migrate`.
        StoreUnavailableError: See `migrate`.
        StoreError: See `migrate`.
    """
    _carry_out(command.downgrade, Target(url_or_engine, schema, version_table), revision)


def migration_sql(
    url_or_dialect: str | URL | Engine,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
    revision: str = "head",
    down: bool = False,
) -> str:
    """Return a script that does what `migrate` would do to an empty database, without connecting to one.

    Args:
        url_or_dialect: ``"postgresql"``, ``"sqlite"``, or a URL or engine, of which only the dialect is used.
        schema: See `migrate`.
        version_table: See `migrate`.
        revision: Where to go; ``"from:to"`` starts at a revision other than none (going down: other than the last).
        down: Go down, as `downgrade` does.

    Raises:
        ConfigurationError: See `migrate`.
    """
    target = Target(url_or_dialect, schema, version_table)
    script = io.StringIO()
    if down:
        revision = revision if ":" in revision else f"head:{revision}"
        _carry_out(command.downgrade, target, revision, script)
    else:
        _carry_out(command.upgrade, target, revision, script)
    return script.getvalue()


def ignore_breakers(schema: str | None = DEFAULT_SCHEMA, version_table: str = VERSION_TABLE) -> IncludeName:
    """Make an ``include_name`` for the application's own ``env.py``: its autogenerate then leaves our tables alone.

    Args:
        schema: The schema of the table, or ``None`` for the one alembic does not name: on SQLite, and on PostgreSQL
            where the table stands in the connection's default schema (``public``, most often).
        version_table: See `migrate`.
    """
    ours = {(schema, TABLE_NAME), (schema, version_table)}

    def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:
        return type_ != "table" or (parent_names.get("schema_name"), name) not in ours

    return include_name


def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:
    """Leave our tables out of the application's autogenerate where they have their usual names, on both databases.

    Tables called ``breakers`` or ``cbstore_version`` in the connection's default schema are left out too, since
    that is where they stand on SQLite. An application on PostgreSQL with a ``breakers`` of its own there takes
    `ignore_breakers`.
    """
    return all(ignore_breakers(schema)(name, type_, parent_names) for schema in (DEFAULT_SCHEMA, None))


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
            if not _is_locked(error.orig):
                raise
        time.sleep(_PAUSE * attempt)
    return _run_once(engine, target)


def write_sql(target: Target) -> None:
    """Print what alembic was asked for; `migrations/env.py` calls it."""
    context.configure(dialect_name=target.dialect_name, literal_binds=True, **_options(target))
    with context.begin_transaction():
        # A script that starts later may be run by a role that could not create the schema.
        if target.table_schema and context.get_starting_revision_argument() in (None, "base"):
            context.execute(sa.schema.CreateSchema(target.schema, if_not_exists=True))
        context.run_migrations()


def _run_once(engine: Engine, target: Target) -> None:
    with engine.connect() as connection:
        # A listener of the application's engine may have begun a transaction, which would keep its isolation.
        connection.connection.rollback()
        connection.execution_options(isolation_level=_ISOLATION[engine.dialect.name])
        with connection.begin():
            context.configure(connection=connection, **_options(target))
            if not context.get_context().opts.get("dont_mutate"):
                _TAKE_TURN[engine.dialect.name](connection, target)
            context.run_migrations()


def _take_turn_postgresql(connection: Connection, target: Target) -> None:
    key = hashlib.blake2b(f"cbstore:{target.schema}".encode(), digest_size=8).digest()
    _set_lock_timeout(connection, _TURN_TIMEOUT)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(key, "big", signed=True))))
    # IF NOT EXISTS asks for the right to create before it looks.
    if not sa.inspect(connection).has_schema(target.schema):
        connection.execute(sa.schema.CreateSchema(target.schema, if_not_exists=True))
    _set_lock_timeout(connection, _LOCK_TIMEOUT)


def _set_lock_timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{seconds * 1000:.0f}ms'")


def _take_turn_sqlite(connection: Connection, target: Target) -> None:
    # A listener of the application's engine may have begun a transaction; one that reads first cannot wait to write.
    connection.connection.rollback()
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# Each statement of PostgreSQL must see what others committed while this one waited for its turn. SQLite's driver
# must not begin by itself.
_ISOLATION = {"postgresql": "READ COMMITTED", "sqlite": "AUTOCOMMIT"}
_TAKE_TURN = {"postgresql": _take_turn_postgresql, "sqlite": _take_turn_sqlite}


def _options(target: Target) -> dict[str, Any]:
    others = ignore_breakers(target.table_schema, target.version_table)
    return {
        "target_metadata": make_table(target.table_schema).metadata,
        "version_table": target.version_table,
        "version_table_schema": target.table_schema,
        "include_schemas": target.table_schema is not None,
        "include_name": lambda name, type_, parents: type_ != "table" or not others(name, type_, parents),
        "compare_server_default": True,
        # SQLite can do it too: a printed script is one transaction.
        "transactional_ddl": True,
    }


def _carry_out(do: Callable[..., None], target: Target, revision: str, script: io.StringIO | None = None) -> None:
    config = Config(output_buffer=script) if script else Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["cbstore"] = target
    with _ALEMBIC, _typed_errors(target):
        do(config, revision, sql=script is not None)


def _scripts() -> Path:
    package = Path(__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@contextmanager
def _typed_errors(target: Target) -> Iterator[None]:
    with translated(target.table_name):
        try:
            yield
        except CommandError as error:
            raise ConfigurationError(f"{target.table_name}: {error}") from error
        except sa.exc.DBAPIError as error:
            raise _explained(error, target) from error


def _explained(error: sa.exc.DBAPIError, target: Target) -> BaseException:
    if _is_locked(error.orig):
        return StoreConflictError(f"{target.table_name}: another session kept it locked; nothing was changed")
    if getattr(error.orig, "sqlstate", None) == _DENIED:
        return StoreError(f"{target.table_name}: the database role may not create or change it; nothing was changed")
    return error.orig or error


def _is_locked(error: BaseException | None) -> bool:
    return error is not None and (is_conflict(error) or getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE)
