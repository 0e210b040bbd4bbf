"""The store that a subcommand works on."""

from __future__ import annotations

from pathlib import Path

from cbstore_sql.environment import schema_name
from cbstore_sql.errors import SchemaError
from cbstore_sql.stores.sql import SqlStore
from cbstore_sql.stores.sql.engine import parse_url
from cbstore_sql.stores.sql.table import DEFAULT_SCHEMA


def open_store(url: str, schema: str | None) -> SqlStore:
    """Open a database that is there already.

    Args:
        url: ``postgresql://…`` or ``sqlite:///file``.
        schema: The PostgreSQL schema of the table; ``None`` means ``CBSTORE_SCHEMA``, then the default.

    Raises:
        ConfigurationError: The URL or the schema cannot be used.
        SchemaError: There is no such SQLite file.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        # To connect would create the file.
        raise SchemaError("there is no such SQLite file: run 'cbstore migrate' to create it")
    return SqlStore(parsed, schema=schema or schema_name(DEFAULT_SCHEMA))
