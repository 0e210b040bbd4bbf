"""The environment variables that the library, the command line and alembic read."""

from __future__ import annotations

import os

from cbstore_sql.errors import ConfigurationError

DEFAULT_URL = "sqlite:///cbstore.db"


def url_is_set() -> bool:
    """Return whether the environment variable ``CBSTORE_URL`` is set and not empty."""
    return bool(os.environ.get("CBSTORE_URL"))


def database_url() -> str:
    """Return the database URL from ``CBSTORE_URL``.

    If the variable is not set or empty, this is the URL of the SQLite file ``cbstore.db`` in the current directory.
    """
    return os.environ.get("CBSTORE_URL") or DEFAULT_URL


def required_url() -> str:
    """Return the database URL from ``CBSTORE_URL``, and raise an exception if the variable is not set.

    Raises:
        ConfigurationError: ``CBSTORE_URL`` is not set or is empty. The function does not fall back to a SQLite file,
            because a program must not create a file that the user did not ask for.
    """
    if not url_is_set():
        raise ConfigurationError("CBSTORE_URL is not set: name the database, such as postgresql://app@db/app")
    return database_url()


def namespace_name(default: str) -> str:
    """Return the namespace of the breakers from ``CBSTORE_NAMESPACE``.

    Args:
        default: The name to return if the environment variable is missing or empty.
    """
    return os.environ.get("CBSTORE_NAMESPACE") or default


def schema_name(default: str) -> str:
    """Return the PostgreSQL schema of the breaker table from ``CBSTORE_SCHEMA``.

    Args:
        default: The name to return if the variable is not set or empty.
    """
    return os.environ.get("CBSTORE_SCHEMA") or default


def version_table_name(default: str) -> str:
    """Read ``CBSTORE_VERSION_TABLE``: the table in which alembic keeps the revision of the breaker table.

    Args:
        default: The name to return if the variable is not set or empty.
    """
    return os.environ.get("CBSTORE_VERSION_TABLE") or default
