"""The schema in which a revision creates the breaker table. The revisions in ``migrations/`` call these functions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cbstore_sql.migration.runner import OURS
from cbstore_sql.runtime.environment import schema_name
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, check_identifier


def table_schema() -> str | None:
    """Return the schema of the breaker table that the current alembic run migrates, or ``None`` on SQLite.

    In a run that the library started, this is the schema of the version table. In a run of the application's own
    history, which finds the library's revisions through ``version_locations``, this is the environment variable
    ``CBSTORE_SCHEMA`` or, if the variable is not set, ``cbstore``.

    Raises:
        ConfigurationError: The name of the schema cannot be used.
    """
    context = op.get_context()
    if context.dialect.name == "sqlite":
        return None
    if context.opts.get(OURS):
        return context.version_table_schema
    return check_identifier("schema", schema_name(DEFAULT_SCHEMA))


def ensure_schema() -> None:
    """Create the schema of the breaker table if the schema is missing; for a migration that the application runs.

    In a migration that the library runs, this function does nothing: the library has already created the schema.

    Raises:
        ConfigurationError: The name of the schema cannot be used.
    """
    context, schema = op.get_context(), table_schema()
    if schema is None or context.opts.get(OURS):
        return
    # CREATE SCHEMA IF NOT EXISTS needs the right to create a schema even if the schema exists. So look first.
    if context.as_sql or not sa.inspect(op.get_bind()).has_schema(schema):
        op.execute(sa.schema.CreateSchema(schema, if_not_exists=True))


def qualified(name: str) -> str:
    """Return the name of one of the library's tables or domains with its quoted schema, for PostgreSQL.

    Args:
        name: The name without the schema.
    """
    prepare = op.get_context().dialect.identifier_preparer
    return f"{prepare.quote_schema(table_schema() or '')}.{name}"
