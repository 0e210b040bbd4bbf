"""The options of connections to PostgreSQL: the options in the URL, and defaults for all other options."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy.engine import URL

from cbstore_sql.errors import ConfigurationError

# With these defaults, a connection fails after some seconds if the server or the network does not answer.
_DEFAULTS = {
    "connect_timeout": 5,  # seconds
    "keepalives": 1,
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,  # milliseconds
    "client_encoding": "utf8",
    # pg_stat_activity shows this name, unless the URL or PGAPPNAME names the application.
    "fallback_application_name": "cbstore_sql",
}

# Arguments of psycopg.connect that psycopg does not read from a connection string.
_PREPARE = "prepare_threshold"
_OBJECTS = ("autocommit", "context", "cursor_factory", "row_factory", "server_cursor_factory")

# The settings of libpq that decide which server and which schema a connection uses.
_PLACE = ("service", "host", "hostaddr", "port", "dbname", "user", "options")


def pg_arguments(url: URL, *, relaxed: bool = False) -> tuple[URL, dict[str, Any]]:
    """Split a PostgreSQL URL into a URL that libpq accepts and the keyword arguments for ``psycopg.connect``.

    The arguments hold defaults, such as timeouts, for options that the URL does not give.

    Args:
        url: The URL of the database.
        relaxed: Whether a commit returns before the disk has it (``synchronous_commit=off``).

    Returns:
        The URL without psycopg's own arguments, and the keyword arguments.

    Raises:
        ConfigurationError: The URL has an argument that must be an object, not a text, or ``prepare_threshold`` is not
            a number.
    """
    if given := [name for name in _OBJECTS if name in url.query]:
        raise ConfigurationError(f"{given[0]} cannot be given in a URL: pass an engine made with connect_args")
    arguments: dict[str, Any] = {name: value for name, value in _DEFAULTS.items() if name not in url.query}
    if _PREPARE in url.query:
        arguments[_PREPARE] = _threshold(url.query[_PREPARE])
        url = url.difference_update_query([_PREPARE])
    if relaxed:
        before = url.query.get("options", _default_options())
        url = url.update_query_dict({"options": f"{before} -c synchronous_commit=off".strip()})
    return url, arguments


def _threshold(text: Any) -> int | None:
    if str(text).lower() == "none":
        return None
    try:
        return int(text)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{_PREPARE} in a URL must be a whole number or none") from None


def libpq_defaults() -> list[str]:
    """Return what libpq uses where a URL does not name the server or its options: the environment and service files."""
    from psycopg.pq import Conninfo

    found = {option.keyword.decode(): (option.val or b"").decode() for option in Conninfo.get_defaults()}
    return [*(found.get(name, "") for name in _PLACE), os.environ.get("PGSERVICEFILE", "")]


def _default_options() -> str:
    """Return libpq's default ``options``, from ``PGOPTIONS`` or a service file; ``options`` in a URL replaces them."""
    from psycopg.pq import Conninfo

    found = (option.val or b"" for option in Conninfo.get_defaults() if option.keyword == b"options")
    return next(found, b"").decode()
