"""What the command line and alembic take from the process's environment."""

from __future__ import annotations

import os

DEFAULT_URL = "sqlite:///cbstore.db"


def database_url() -> str:
    """Return ``CBSTORE_URL``, or a SQLite file in the current directory."""
    return os.environ.get("CBSTORE_URL") or DEFAULT_URL


def schema_name(default: str) -> str:
    """Return ``CBSTORE_SCHEMA``, or the default."""
    return os.environ.get("CBSTORE_SCHEMA") or default


def version_table_name(default: str) -> str:
    """Return ``CBSTORE_VERSION_TABLE``, or the default."""
    return os.environ.get("CBSTORE_VERSION_TABLE") or default
