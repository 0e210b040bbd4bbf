"""Migrations of the breaker table, from Python, from ``cbstore migrate`` and from alembic.

===========  ===========================================================================
`runner`     what `migrations/env.py` does: which table to migrate, in one transaction
`state`      at which revision a breaker table is, and which revision the library brings
`within`     our migrations as steps of the application's own alembic history
`proxies`    alembic's modules, given back to the run that had them
`placement`  where a revision puts the table
===========  ===========================================================================

The table has its own revisions, its own version table and, on PostgreSQL, its own schema, so that it does not
meet the migrations of the application. The revisions are in ``migrations/``.
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

# alembic keeps its current environment in module globals.
_ALEMBIC = threading.Lock()


def migrate(
    url_or_engine: str | URL | Engine,
    *,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
    revision: str = "head",
) -> None:
    """Create the breaker table, or bring it to a later revision, in one separate transaction.

    Any number of processes may do this at once: one works, the others wait for it and find nothing left to do.
    Logging is not configured; alembic reports to the logger ``alembic``.

    Args:
        url_or_engine: ``postgresql://…``, ``sqlite:///file``, or the application's own engine.
        schema: The PostgreSQL schema of the table, made if it is missing. SQLite has none and ignores it.
        version_table: The table, in the same schema, that says at which revision the breaker table is.
        revision: Where to go: ``"head"``, a revision, or steps such as ``"+1"``.

    Raises:
        ConfigurationError: The database, a name or the revision cannot be used.
        SchemaError: The table is newer than the library.
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
        SchemaError: See `migrate`.
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
    transaction: bool = True,
) -> str:
    """Return a script that does what `migrate` would do to an empty database, without connecting to one.

    Args:
        url_or_dialect: ``"postgresql"``, ``"sqlite"``, or a URL or engine, of which only the dialect is used.
        schema: See `migrate`.
        version_table: See `migrate`.
        revision: Where to go; ``"from:to"`` starts at a revision other than none (going down: other than the last).
        down: Go down, as `downgrade` does.
        transaction: Whether the script begins and commits its own transaction. ``False`` is for
            ``op.execute(…)`` in a revision of the application's, on PostgreSQL.

    Raises:
        ConfigurationError: See `migrate`.
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
    """Make an ``include_name`` for the application's own ``env.py``: its autogenerate then leaves our tables alone.

    Args:
        schema: The schema of the table, or ``None`` for the one alembic does not name: on SQLite, and on PostgreSQL
            where the table stands in the connection's default schema (``public``, most often).
        version_table: See `migrate`.
    """
    ours = {(schema, TABLE_NAME), (schema, version_table)}

    def include_name(name: str | None, type_: NameFilterType, parent_names: NameFilterParentNames) -> bool:
        return type_ != "table" or (parent_names.get("schema_name"), name) not in ours

    return include_name


def include_name(name: str | None, type_: NameFilterType, parent_names: NameFilterParentNames) -> bool:
    """Leave our tables out of the application's autogenerate where they have their usual names, on both databases.

    Tables called ``breakers`` or ``cbstore_version`` in the connection's default schema are left out too, since
    that is where they stand on SQLite. An application on PostgreSQL with its own table ``breakers`` there uses
    `ignore_breakers`.

    Args:
        name: The name of the object that alembic asks about.
        type_: The kind of the object; only ``"table"`` is left out.
        parent_names: The names of its schema and table.
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
    """Return the folder of the revisions: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@contextmanager
def typed_errors(target: Target) -> Iterator[None]:
    """Turn what alembic and the driver raise into the library's errors."""
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
                raise StoreError(f"{target.table_name}: the database role may not create or change it") from cause
            raise cause from None
