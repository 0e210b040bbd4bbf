"""What the library, the command line and alembic take from the process's environment."""

from __future__ import annotations

import os

from cbstore_sql.errors import ConfigurationError

DEFAULT_URL = "sqlite:///cbstore.db"


def url_is_set() -> bool:
    """Whether ``CBSTORE_URL`` names a database."""
    return bool(os.environ.get("CBSTORE_URL"))


def database_url() -> str:
    """Return ``CBSTORE_URL``, or a SQLite file in the current directory."""
    return os.environ.get("CBSTORE_URL") or DEFAULT_URL


def required_url() -> str:
    """Return ``CBSTORE_URL``.

    Raises:
        ConfigurationError: It is not set: a program gets no file that it did not ask for.
    """
    if not url_is_set():
        raise ConfigurationError("CBSTORE_URL is not set: name the database, such as postgresql://app@db/app")
    return database_url()


def namespace_name(default: str) -> str:
    """Return ``CBSTORE_NAMESPACE``, or the default."""
    return os.environ.get("CBSTORE_NAMESPACE") or default


def schema_name(default: str) -> str:
    """Return ``CBSTORE_SCHEMA``, or the default."""
    return os.environ.get("CBSTORE_SCHEMA") or default


def version_table_name(default: str) -> str:
    """Return ``CBSTORE_VERSION_TABLE``, or the default."""
    return os.environ.get("CBSTORE_VERSION_TABLE") or default
