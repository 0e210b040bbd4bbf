"""The store that a subcommand works on."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL

from cbstore_sql.errors import SchemaError
from cbstore_sql.runtime.environment import schema_name
from cbstore_sql.stores.sql import SqlStore
from cbstore_sql.stores.sql.connections.engine import parse_url
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA


def open_store(url: str, schema: str | None) -> SqlStore:
    """Open a database that is there already.

    Args:
        url: ``postgresql://…`` or ``sqlite:///file``.
        schema: The PostgreSQL schema of the table; ``None`` means ``CBSTORE_SCHEMA``, then the default.

    Raises:
        ConfigurationError: The URL or the schema cannot be used.
        SchemaError: There is no such SQLite file.
    """
    return SqlStore(existing(url), schema=schema_of(schema))


def existing(url: str) -> URL:
    """Read the URL of a database that is there already; see `open_store`."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        # To connect would create the file.
        raise SchemaError("there is no such SQLite file: run 'cbstore migrate' to create it")
    return parsed


def schema_of(given: str | None) -> str:
    """Return the schema that was given, else ``CBSTORE_SCHEMA``, else the default."""
    return given or schema_name(DEFAULT_SCHEMA)
