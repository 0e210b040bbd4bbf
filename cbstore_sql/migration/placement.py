"""Where a revision puts the breaker table; the revisions in ``migrations/`` call it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cbstore_sql.migration.runner import OURS
from cbstore_sql.runtime.environment import schema_name
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA, check_identifier


def table_schema() -> str | None:
    """Return the schema of the table that the present run migrates, ``None`` on SQLite.

    In a run of ours it is that of the version table. In a run of the application's own history, which finds our
    revisions through ``version_locations``, it is ``CBSTORE_SCHEMA`` or the default.

    Raises:
        ConfigurationError: The schema's name cannot be used.
    """
    context = op.get_context()
    if context.dialect.name == "sqlite":
        return None
    if context.opts.get(OURS):
        return context.version_table_schema
    return check_identifier("schema", schema_name(DEFAULT_SCHEMA))


def ensure_schema() -> None:
    """Make the table's schema in a run of the application's own history; a run of ours has made it already."""
    context, schema = op.get_context(), table_schema()
    if schema is None or context.opts.get(OURS):
        return
    # IF NOT EXISTS asks for the right to create before it looks.
    if context.as_sql or not sa.inspect(op.get_bind()).has_schema(schema):
        op.execute(sa.schema.CreateSchema(schema, if_not_exists=True))


def qualified(name: str) -> str:
    """Return the quoted name of a table or domain of ours, on PostgreSQL."""
    prepare = op.get_context().dialect.identifier_preparer
    return f"{prepare.quote_schema(table_schema() or '')}.{name}"
