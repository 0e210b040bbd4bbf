"""The library's migrations inside a revision of the application's own alembic history, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.migration import scripts_location
from cbstore_sql.migration.proxies import kept
from cbstore_sql.migration.runner import Target, check_age, options_of, take_turn
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, VERSION_TABLE

__all__ = ["downgrade_within", "upgrade_within"]

_Plan = Callable[[ScriptDirectory, Any], Any]


def upgrade_within(
    op: Any,
    revision: str,
    *,
    start: str | None = None,
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
) -> None:
    """Upgrade the breaker table as a step of a migration of the application's own alembic history.

    Call this function in ``upgrade()`` of that migration. The upgrade runs in the same transaction: either both take
    effect, or neither does. The library keeps its own version table beside the version table of the application.

    Args:
        op: ``alembic.op`` or an `alembic.operations.Operations`.
        revision: The target: the id of a revision of the library. Do not write ``"head"``: it means another revision
            with each release of the library.
        start: The revision at which a printed script (``--sql``) starts; ``None`` means an empty database. A migration
            that connects to the database ignores this argument.
        schema: The PostgreSQL schema of the breaker table. SQLite has no schemas and ignores this argument.
        version_table: The name of the library's version table, in the same schema. It holds the revision of the breaker
            table.

    Raises:
        ConfigurationError: A name or the revision is not valid.
        SchemaError: A newer version of the library has already migrated the table.
    """
    _check(revision)
    _run(op, lambda scripts, heads: scripts._upgrade_revs(revision, heads), start, schema, version_table)


def downgrade_within(
    op: Any,
    revision: str,
    *,
    start: str = "head",
    schema: str = DEFAULT_SCHEMA,
    version_table: str = VERSION_TABLE,
) -> None:
    """Downgrade the breaker table as a step of a migration of the application's own alembic history.

    Call this function in ``downgrade()`` of that migration. The downgrade runs in the same transaction. The data in
    each removed table or column is lost.

    Args:
        op: ``alembic.op`` or an `alembic.operations.Operations`.
        revision: The target: the id of a revision of the library, or ``"base"``, which drops the breaker table.
        start: The revision at which a printed script (``--sql``) starts; ``"head"`` means the newest revision. A
            migration that connects to the database ignores this argument.
        schema: The PostgreSQL schema of the breaker table. SQLite has no schemas and ignores this argument.
        version_table: The name of the library's version table, in the same schema. It holds the revision of the breaker
            table.

    Raises:
        ConfigurationError: A name or the revision is not valid.
        SchemaError: A newer version of the library has migrated the table.
    """
    _check(revision)
    _run(op, lambda scripts, heads: scripts._downgrade_revs(revision, heads), start, schema, version_table)


def _check(revision: str) -> None:
    if not revision:
        raise ConfigurationError("revision must not be empty")


def _run(op: Any, plan: _Plan, start: str | None, schema: str, version_table: str) -> None:
    outer: MigrationContext = op.get_context()
    target = Target(outer.dialect.name, schema, version_table)
    scripts = ScriptDirectory(str(scripts_location()))
    inner = _context(outer, target, scripts, plan, start)
    if outer.as_sql:
        if target.table_schema and start is None:
            op.execute(f"CREATE SCHEMA IF NOT EXISTS {target.schema}")
    else:
        if target.table_schema:
            take_turn(op.get_bind(), target)
        check_age(target, scripts, inner)
    with kept(), Operations.context(inner):
        inner.run_migrations()


def _context(
    outer: MigrationContext, target: Target, scripts: ScriptDirectory, plan: _Plan, start: str | None
) -> MigrationContext:
    def steps(heads: Any, _context: MigrationContext) -> Any:
        return plan(scripts, heads)

    options = {**options_of(target), "fn": steps, "script": scripts}
    if not outer.as_sql:
        return MigrationContext.configure(connection=outer.connection, opts=options)
    printed = {
        "as_sql": True,
        "output_buffer": outer.output_buffer,
        "literal_binds": True,
        # The script runs in the transaction of the application.
        "transactional_ddl": False,
        "starting_rev": scripts.get_current_head() if start == "head" else start,
    }
    return MigrationContext.configure(dialect_name=outer.dialect.name, opts={**options, **printed})
