"""The schema in which a revision creates the breaker table. The revisions in ``migrations/`` call these functions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cbstore_sql.migration.runner import OURS
from cbstore_sql.runtime.environment import schema_name
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, check_identifier


def table_schema() -> str | None:
    """Return the schema of the breaker table that the running migration changes, or ``None`` on SQLite.

    If the library started the migration, this is the schema that the caller named. If the application's own alembic
    history includes the library's migrations (``version_locations``), this is the environment variable
    ``CBSTORE_SCHEMA`` or, if the variable is not set, ``cbstore``.

    Raises:
        ConfigurationError: The name of the schema is not valid.
    """
    context = op.get_context()
    if context.dialect.name == "sqlite":
        return None
    if context.opts.get(OURS):
        return context.version_table_schema
    return check_identifier("schema", schema_name(DEFAULT_SCHEMA))


def ensure_schema() -> None:
    """Create the schema of the breaker table if it is missing and the application started the migration.

    If the library started the migration, this function does nothing, because the library has already created the
    schema. On SQLite, it also does nothing.

    Raises:
        ConfigurationError: The name of the schema is not valid.
    """
    context, schema = op.get_context(), table_schema()
    if schema is None or context.opts.get(OURS):
        return
    # CREATE SCHEMA IF NOT EXISTS needs the right to create a schema even if the schema exists. So look first.
    if context.as_sql or not sa.inspect(op.get_bind()).has_schema(schema):
        op.execute(sa.schema.CreateSchema(schema, if_not_exists=True))


def qualified(name: str) -> str:
    """Return the name of a table or domain of the library with its schema before it, quoted for PostgreSQL.

    Args:
        name: The name without the schema.
    """
    prepare = op.get_context().dialect.identifier_preparer
    return f"{prepare.quote_schema(table_schema() or '')}.{name}"
