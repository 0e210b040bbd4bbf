"""Migrations of the breaker table, from Python, from ``cbstore migrate`` and from alembic.

===========  ===========================================================================
`runner`     the functions that ``migrations/env.py`` calls: a migration in one transaction
`state`      the revision of a breaker table, and the newest revision of the library
`within`     the library's migrations as steps of the application's own alembic history
`proxies`    restores alembic's modules when one alembic run starts inside another
`placement`  the schema in which a revision creates the table
===========  ===========================================================================

The breaker table has its own revisions, its own version table and, on PostgreSQL, its own schema. So the migrations of
the library and those of the application do not affect each other. The revisions are in ``migrations/``.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError

from cbstore_sql.errors import ConfigurationError, StoreConflictError, StoreError
from cbstore_sql.migration.proxies import kept
from cbstore_sql.migration.runner import Target, is_locked
from cbstore_sql.stores.sql import sqlstates
from cbstore_sql.stores.sql.errors import translated
from cbstore_sql.stores.sql.retry import sqlstate
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, TABLE_NAME, VERSION_TABLE

if TYPE_CHECKING:
    from alembic.runtime.environment import IncludeNameFn, NameFilterParentNames, NameFilterType

__all__ = ["downgrade", "ignore_breakers", "include_name", "migrate", "migration_sql"]

# alembic keeps its current environment in module globals, so only one thread at a time may run alembic.
_ALEMBIC = threading.Lock()


def migrate(
    url_or_engine: str | URL | Engine,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
    revision: str = "head",
) -> None:
    """Create the breaker table, or upgrade the table to a later revision, in one transaction.

    Any number of processes may call this function at the same time: one process migrates the table, and the others wait
    and then have nothing to do. This function does not configure logging; alembic logs to the logger ``alembic``.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine.
        schema: The PostgreSQL schema of the table. The function creates a missing schema. SQLite has no schemas and
            ignores this argument.
        version_table: The name of alembic's table, in the same schema, that holds the revision of the breaker table.
        revision: The target: ``"head"`` (the newest revision), the id of a revision, or steps such as ``"+1"``.

    Raises:
        ConfigurationError: The URL or the engine, a name or the revision is not valid.
        SchemaError: A newer version of the library has already migrated the table.
        StoreConflictError: Another session kept the table locked during every attempt.
        StoreUnavailableError: The database cannot be reached.
        StoreError: The database refused a statement, for example because the role may not create or change the table.
    """
    _carry_out(command.upgrade, Target(url_or_engine, schema, version_table), revision)


def downgrade(
    url_or_engine: str | URL | Engine,
    revision: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
) -> None:
    """Downgrade the breaker table to an earlier revision. The data in each removed table or column is lost.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine.
        revision: The target: the id of a revision, steps such as ``"-1"``, or ``"base"``. ``"base"`` drops the breaker
            table and keeps the schema and an empty version table.
        schema: The PostgreSQL schema of the table. SQLite has no schemas and ignores this argument.
        version_table: The name of alembic's table, in the same schema, that holds the revision of the breaker table.

    Raises:
        ConfigurationError: The URL or the engine, a name or the revision is not valid.
        SchemaError: A newer version of the library has migrated the table.
        StoreConflictError: Another session kept the table locked during every attempt.
        StoreUnavailableError: The database cannot be reached.
        StoreError: The database refused a statement, for example because the role may not change the table.
    """
    _carry_out(command.downgrade, Target(url_or_engine, schema, version_table), revision)


def migration_sql(
    url_or_dialect: str | URL | Engine,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
    revision: str = "head",
    down: bool = False,
    transaction: bool = True,
) -> str:
    """Return an SQL script that does what `migrate` does. The function does not connect to a database.

    Args:
        url_or_dialect: ``"postgresql"``, ``"sqlite"``, or a URL or an engine. The function uses only the dialect.
        schema: The PostgreSQL schema of the table. SQLite has no schemas and ignores this argument.
        version_table: The name of alembic's table, in the same schema, that holds the revision of the breaker table.
        revision: The target revision, or ``"from:to"``. Without ``from``, the script starts at an empty database if
            ``down`` is false, and at the newest revision if ``down`` is true.
        down: Whether to return a script that downgrades, as `downgrade` does.
        transaction: Whether the script begins and commits its own transaction. ``False`` is for a script that a
            revision of the application runs with ``op.execute(…)`` on PostgreSQL.

    Raises:
        ConfigurationError: The dialect, a name or the revision is not valid.
    """
    target = Target(url_or_dialect, schema, version_table, transaction=transaction)
    script = io.StringIO()
    if down:
        revision = revision if ":" in revision else f"head:{revision}"
        _carry_out(command.downgrade, target, revision, script)
    else:
        _carry_out(command.upgrade, target, revision, script)
    return script.getvalue()


def ignore_breakers(schema: str | None = DEFAULT_SCHEMA, version_table: str = VERSION_TABLE) -> IncludeNameFn:
    """Return a filter with which alembic's autogenerate ignores the breaker table and the version table.

    Pass the filter as ``include_name`` to ``context.configure`` in the application's ``env.py``.

    Args:
        schema: The schema of the breaker table. ``None`` means the default schema of the connection: the only schema on
            SQLite, usually ``public`` on PostgreSQL.
        version_table: The name of the table that holds the revision of the breaker table.
    """
    ours = {(schema, TABLE_NAME), (schema, version_table)}

    def include_name(name: str | None, type_: NameFilterType, parent_names: NameFilterParentNames) -> bool:
        return type_ != "table" or (parent_names.get("schema_name"), name) not in ours

    return include_name


def include_name(name: str | None, type_: NameFilterType, parent_names: NameFilterParentNames) -> bool:
    """Tell alembic's autogenerate to ignore the library's tables, if they have their default names.

    Pass this function as ``include_name`` to ``context.configure`` in the application's ``env.py``, for PostgreSQL or
    SQLite. It excludes the tables ``breakers`` and ``cbstore_version`` in the schema ``cbstore`` and in the
    connection's default schema, where SQLite has them. If the application has its own table ``breakers`` in the default
    schema of PostgreSQL, use `ignore_breakers` instead.

    Args:
        name: The name of a database object that alembic found.
        type_: The kind of the object, for example ``"table"``. The function excludes only tables.
        parent_names: The names of the schema and the table that contain the object.

    Returns:
        ``False`` if the object is one of the library's tables, so that alembic ignores it; otherwise ``True``.
    """
    return all(ignore_breakers(schema)(name, type_, parent_names) for schema in (DEFAULT_SCHEMA, None))


def _carry_out(do: Callable[..., None], target: Target, revision: str, script: io.StringIO | None = None) -> None:
    if not revision:
        raise ConfigurationError("revision must not be empty")
    config = Config(output_buffer=script)
    config.set_main_option("script_location", str(scripts_location()).replace("%", "%%"))
    config.attributes["cbstore"] = target
    with _ALEMBIC, typed_errors(target), kept():
        do(config, revision, sql=script is not None)


def scripts_location() -> Path:
    """Return the folder that contains the migration scripts of the breaker table.

    In an installed package, the folder is inside the package. In a checkout of the sources, it is at the top.
    """
    package = Path(__file__).parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@contextmanager
def typed_errors(target: Target) -> Iterator[None]:
    """Raise an error of this library in place of an error that alembic or the driver raises in the block.

    Args:
        target: The table that the error messages name.

    Raises:
        ConfigurationError: alembic cannot carry out the command, for example because it does not know the revision.
        StoreConflictError: Another session kept the table locked.
        StoreError: The database refused a statement; see also `cbstore_sql.stores.sql.errors.translated`.
    """
    with translated(target.table_name):
        try:
            yield
        except CommandError as error:
            raise ConfigurationError(f"{target.table_name}: {error}") from error
        except DBAPIError as error:
            cause = error.orig or error
            if is_locked(cause):
                raise StoreConflictError(f"{target.table_name}: another session kept it locked") from cause
            if sqlstate(cause) == sqlstates.INSUFFICIENT_PRIVILEGE:
                raise StoreError(
                    f"{target.table_name}: the database role may not create or change it: "
                    "GRANT CREATE ON DATABASE to the role, or run what 'cbstore grants' prints"
                ) from cause
            raise cause from None
