"""The file behind a SQLite URL: where it is, whether it is still the same one, and whether this process has it open."""

from __future__ import annotations

import os
from contextlib import suppress
from urllib.parse import quote, unquote

from sqlalchemy.engine import URL
from sqlalchemy.util import asbool

from cbstore_sql.errors import SchemaError

_URI = "file:"

Identity = tuple[int, int]
"""A file's device and inode."""


def is_uri(url: URL) -> bool:
    """Whether a SQLite URL holds a ``file:`` URI instead of a path."""
    return (url.database or "").startswith(_URI) and bool(asbool(url.query.get("uri", False)))


def path_of(url: URL) -> str:
    """Return the absolute path of a SQLite URL's file; empty for a database that has none (in memory)."""
    database = url.database or ""
    if is_uri(url):
        database = database.removeprefix(_URI).partition("#")[0].partition("?")[0]
        if database.startswith("//"):
            # An authority, which SQLite wants empty or "localhost".
            database = "/" + database[2:].partition("/")[2]
        database = unquote(database)
    if database in ("", ":memory:") or url.query.get("mode") == "memory" or url.query.get("vfs") == "memdb":
        return ""
    return os.path.abspath(database)


def absolute(url: URL) -> URL:
    """Return the same URL with an absolute path: SQLite looks for a relative one in the directory of the moment."""
    path = path_of(url)
    return url.set(database=f"{_URI}{quote(path)}" if is_uri(url) else path) if path else url


class SqliteFile:
    """The file of one store.

    Args:
        url: Where it is.
    """

    def __init__(self, url: URL) -> None:
        self._path = path_of(url)

    def identity(self) -> Identity | None:
        """Return which file is there now, or ``None`` if the file is missing."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check_exists(self) -> None:
        """Find out whether there is a file: to connect would create an empty one.

        Raises:
            SchemaError: The file is missing.
        """
        if self.identity() is None:
            raise SchemaError(
                "table breakers: there is no SQLite file: run 'cbstore migrate' (or 'alembic upgrade head')"
            )

    def is_open_here(self) -> bool:
        """Whether this process has the file open, through whatever library."""
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
