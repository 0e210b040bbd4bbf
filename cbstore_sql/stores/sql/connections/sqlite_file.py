"""The file behind a SQLite URL: its path, its identity, and whether this process has the file open."""

from __future__ import annotations

import os
from contextlib import suppress
from urllib.parse import quote, unquote

from sqlalchemy.engine import URL
from sqlalchemy.util import asbool

from cbstore_sql.errors import SchemaError
from cbstore_sql.stores.sql.reasons import MIGRATE

_URI = "file:"

Identity = tuple[int, int]
"""The device number and the inode number of a file."""


def is_uri(url: URL) -> bool:
    """Return whether a SQLite URL holds a ``file:`` URI instead of a path.

    Args:
        url: The SQLite URL.
    """
    return (url.database or "").startswith(_URI) and bool(asbool(url.query.get("uri", False)))


def path_of(url: URL) -> str:
    """Return the absolute path of the file of a SQLite URL.

    Args:
        url: The SQLite URL.

    Returns:
        The path, or ``""`` for an in-memory database, which has no file.
    """
    database = url.database or ""
    if is_uri(url):
        database = database.removeprefix(_URI).partition("#")[0].partition("?")[0]
        if database.startswith("//"):
            # The URI has an authority part, which SQLite requires to be empty or "localhost".
            database = "/" + database[2:].partition("/")[2]
        database = unquote(database)
    if database in ("", ":memory:") or url.query.get("mode") == "memory" or url.query.get("vfs") == "memdb":
        return ""
    return os.path.abspath(database)


def absolute(url: URL) -> URL:
    """Return a SQLite URL whose path is absolute.

    SQLite resolves a relative path against the working directory at the time of each connection, which may change.

    Args:
        url: The SQLite URL.
    """
    path = path_of(url)
    return url.set(database=f"{_URI}{quote(path)}" if is_uri(url) else path) if path else url


class SqliteFile:
    """The database file of a store on SQLite.

    Args:
        url: The SQLite URL that holds the path of the file.
    """

    def __init__(self, url: URL) -> None:
        self._path = path_of(url)

    def identity(self) -> Identity | None:
        """Return the device and inode numbers of the file that is at the path now; ``None`` if the file is missing.

        If the file was replaced, the numbers differ from earlier ones.
        """
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check_exists(self) -> None:
        """Check that the file exists. SQLite would create an empty file in place of a missing one.

        Raises:
            SchemaError: The file is missing.
        """
        if self.identity() is None:
            raise SchemaError(f"table breakers: there is no SQLite file {os.path.basename(self._path)}: {MIGRATE}")

    def is_open_here(self) -> bool:
        """Return whether this process has the file open, through any library.

        The result is ``False`` also if the file is missing or the platform cannot tell.
        """
        wanted = self.identity()
        if wanted is None:
            return False
        for number in _descriptors():
            with suppress(OSError):
                found = os.fstat(number)
                if (found.st_dev, found.st_ino) == wanted:
                    return True
        return False


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return []
