"""Our migrations as steps of the application's own alembic history, in the transaction of its revision."""

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
    """Bring the breaker table to a revision, in a revision of the application's own.

    It runs in the transaction of that revision: both happen, or neither. Our version table is kept beside yours.

    Args:
        op: ``alembic.op`` or an `alembic.operations.Operations`.
        revision: Where to go: a revision of ours. Write it out: "head" changes its meaning with the library's release.
        start: For printed SQL (``--sql``) only: where the script starts; ``None`` means an empty database.
        schema: See `migrate`.
        version_table: See `migrate`.

    Raises:
        ConfigurationError: A name or the revision cannot be used.
        SchemaError: The table is newer than the library.
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
    """Take the breaker table back to an earlier revision, in a revision of the application's own.

    Args:
        op: See `upgrade_within`.
        revision: Where to go: a revision of ours, or ``"base"``, which drops the table.
        start: For printed SQL (``--sql``) only: where the script starts.
        schema: See `migrate`.
        version_table: See `migrate`.

    Raises:
        ConfigurationError: See `upgrade_within`.
        SchemaError: See `upgrade_within`.
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
        # One transaction: the application's.
        "transactional_ddl": False,
        "starting_rev": scripts.get_current_head() if start == "head" else start,
    }
    return MigrationContext.configure(dialect_name=outer.dialect.name, opts={**options, **printed})
