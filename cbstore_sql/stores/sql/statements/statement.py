"""One finished SQL text, and how what goes with it is written for PostgreSQL's wire and read from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Any, NamedTuple

_INTEGER, _FLOAT = Struct("!q"), Struct("!d")

BINARY = 1
"""PostgreSQL's code of the format that values are sent and asked for in."""


class WireType(NamedTuple):
    """A type of the database, in binary.

    Attributes:
        oid: PostgreSQL's number of it.
        pack: From the value to what is sent.
        unpack: From what was sent to the value.
    """

    oid: int
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]


TEXT = WireType(25, str.encode, bytes.decode)
INTEGER = WireType(20, _INTEGER.pack, lambda sent: _INTEGER.unpack(sent)[0])
FLOAT = WireType(701, _FLOAT.pack, lambda sent: _FLOAT.unpack(sent)[0])


class Statement:
    """A statement, in the dialect's own parameter style: ``$1`` on PostgreSQL, ``:name`` on SQLite.

    Args:
        text: The SQL.
        given: The parameters in the order of their numbers, by name; SQLite takes them by name.
        columns: The types of the columns that the database returns.
        complete: From a row that the database returned to the whole answer, if the answer has columns that the database
            need not return; ``None`` if the row is the answer.

    Attributes:
        name: Its name on a server that prepared it. The name is made from the text, so that two clients that a pooler
            gives the same session mean the same statement.
        command: The text, encoded.
        types: PostgreSQL's numbers of the parameters' types.
        formats: One for each parameter: all are binary.
    """

    __slots__ = (
        *("_complete", "_packers", "_readers", "columns", "command", "formats", "name", "parameters", "text"),
        "types",
    )

    def __init__(
        self,
        text: str,
        given: Sequence[tuple[str, WireType]] = (),
        columns: Sequence[WireType] = (),
        complete: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    ) -> None:
        self._complete = complete
        self.text = text
        self.parameters = tuple(given)
        self.columns = tuple(columns)
        self.command = text.encode()
        self.name = b"cbstore_" + blake2b(self.command, digest_size=12).hexdigest().encode()
        # Lists: psycopg before 3.3 takes nothing else.
        self.types = [kind.oid for _, kind in given]
        self.formats = [BINARY] * len(given)
        self._packers = tuple((name, kind.pack) for name, kind in given)
        self._readers = tuple((number, kind.unpack) for number, kind in enumerate(columns))

    def pack(self, given: Mapping[str, Any]) -> list[bytes | None]:
        """Return the parameters in order, for PostgreSQL's wire."""
        return [None if (value := given[name]) is None else pack(value) for name, pack in self._packers]

    def unpack(self, result: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a libpq result."""
        get, readers = result.get_value, self._readers
        return [
            tuple([None if (sent := get(row, number)) is None else read(sent) for number, read in readers])
            for row in range(result.ntuples)
        ]

    def completed(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Return whole answers for rows that the database returned."""
        return rows if self._complete is None else [self._complete(row) for row in rows]

    @lru_cache(maxsize=256)  # noqa: B019 - what is kept is the few statements there are
    def in_encoding(self, encoding: str) -> Statement:
        """Return the statement for a client encoding other than UTF-8."""
        text = WireType(TEXT.oid, lambda value: value.encode(encoding), lambda sent: sent.decode(encoding))
        given = [(name, text if kind is TEXT else kind) for name, kind in self.parameters]
        columns = [text if kind is TEXT else kind for kind in self.columns]
        return Statement(self.text, given, columns, self._complete)
