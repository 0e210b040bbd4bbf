"""The reasons for which a database cannot be used, in words without secrets.

The text of a driver's error may hold a password, a host or a value. So no message contains this text.
"""

from __future__ import annotations

import sqlite3

import sqlalchemy.exc

from cbstore_sql.stores.sql import sqlstates

UNREACHABLE = "the database cannot be reached or does not answer"

# Without the URL, the command would migrate another database: the default SQLite file.
MIGRATE = "run 'cbstore migrate --url …' with the URL of this store, or call migrate(url)"

_BY_STATE = {
    sqlstates.INVALID_AUTHORIZATION: "authentication failed",
    sqlstates.INVALID_PASSWORD: "authentication failed",
    sqlstates.INVALID_CATALOG_NAME: "there is no such database",
    sqlstates.DISK_FULL: "the database's disk is full",
    sqlstates.OUT_OF_MEMORY: "the database is out of memory",
    sqlstates.TOO_MANY_CONNECTIONS: "the server has no connection left",
    sqlstates.PROGRAM_LIMIT_EXCEEDED: "a limit of the database is exceeded",
    sqlstates.CANNOT_CONNECT_NOW: "the server is starting up or shutting down",
    sqlstates.READ_ONLY_SQL_TRANSACTION: "the server is read-only",
}

# psycopg gives no SQLSTATE for a failed connection, only the texts of libpq and of the server. If they are not in
# English, the reason stays unknown. `reason` uses the first entry that matches.
_CONNECTING = (
    (
        ("authentication failed", "no password supplied", "no pg_hba.conf entry", "is not permitted to log in"),
        "authentication failed",
    ),
    (("could not translate host name", "name or service not known", "nodename nor servname"), "the host was not found"),
    (("certificate",), "the database's TLS certificate is not accepted, or no certificate could be read"),
    (("ssl", "tls"), "TLS cannot be agreed on"),
    (("connection refused", "no such file or directory"), "the connection was refused"),
    (("network is unreachable", "no route to host"), "the host cannot be reached"),
    (("timeout expired", "connection timed out"), "the server did not answer in time"),
    (("too many clients", "connection slots"), "the server has no connection left"),
    (("starting up", "shutting down", "in recovery", "not accepting connections"), "the server is starting up or down"),
    (("invalid connection option", "invalid uri query parameter"), "the URL has an option that libpq does not know"),
)
_NO_SUCH = (('role "', "authentication failed"), ('database "', "there is no such database"))

_SQLITE = (
    ("attempt to write a readonly database", "the database is read-only"),
    ("database or disk is full", "the disk is full, or the database may not grow"),
    ("unable to open database file", "the file cannot be opened"),
    ("disk i/o error", "the disk has an error"),
    ("malformed", "the file is damaged"),
    ("not a database", "the file is not a SQLite database"),
)


def reason(error: BaseException, state: str | None) -> str:
    """Return in a few words why a database cannot be used, without any part of the driver's text.

    The driver's text may contain secrets.

    Args:
        error: The error of the driver or of the pool.
        state: PostgreSQL's five-character code of the error (SQLSTATE), or ``None`` if the error has no code.
    """
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return "no connection became free in the pool"
    text = str(error).lower()
    if isinstance(error, sqlite3.Error):
        return next((words for part, words in _SQLITE if part in text), UNREACHABLE)
    if state is not None:
        return _BY_STATE.get(state, UNREACHABLE)
    if "does not exist" in text and (words := next((words for part, words in _NO_SUCH if part in text), None)):
        return words
    return next((words for parts, words in _CONNECTING if any(part in text for part in parts)), UNREACHABLE)
