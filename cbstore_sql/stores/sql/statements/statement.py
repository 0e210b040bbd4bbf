"""A compiled SQL statement, with the conversion of parameters and results to and from PostgreSQL's binary format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Any, NamedTuple

_INTEGER, _FLOAT = Struct("!q"), Struct("!d")

BINARY = 1
"""PostgreSQL's code for the binary format of parameters and results."""


class WireType(NamedTuple):
    """A type of PostgreSQL, and how to convert its values to and from PostgreSQL's binary format.

    Attributes:
        oid: PostgreSQL's number of the type.
        pack: A function that takes a Python value and returns the bytes to send.
        unpack: A function that takes the bytes that the server sent and returns the Python value.
    """

    oid: int
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]


TEXT = WireType(25, str.encode, bytes.decode)
INTEGER = WireType(20, _INTEGER.pack, lambda sent: _INTEGER.unpack(sent)[0])
FLOAT = WireType(701, _FLOAT.pack, lambda sent: _FLOAT.unpack(sent)[0])


class Statement:
    """A compiled SQL statement, with the types of its parameters and results.

    The parameters are ``$1``, ``$2`` and so on for PostgreSQL, and ``:name`` for SQLite.

    Args:
        text: The SQL text.
        given: The name and the type of each parameter, in the order of the numbers on PostgreSQL. For SQLite, the
            sequence is empty: SQLite receives the parameters by name.
        columns: The types of the columns that the database returns.
        complete: A function that takes a returned row and adds the columns that the statement leaves out; ``None`` if
            it leaves out no columns. See `Answer.completion`.

    Attributes:
        text: The SQL text.
        parameters: The name and the type of each parameter.
        columns: The types of the columns that the database returns.
        name: The name of the prepared statement on the server. The name is a digest of the text: if a pooler gives two
            clients the same server session, a name means the same text for both.
        command: The SQL text as bytes.
        types: PostgreSQL's numbers of the types of the parameters.
        formats: The format code of each parameter, always `BINARY`.
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
        # These are lists because psycopg before 3.3 accepts only lists.
        self.types = [kind.oid for _, kind in given]
        self.formats = [BINARY] * len(given)
        self._packers = tuple((name, kind.pack) for name, kind in given)
        self._readers = tuple((number, kind.unpack) for number, kind in enumerate(columns))

    def pack(self, given: Mapping[str, Any]) -> list[bytes | None]:
        """Encode the values of the parameters in PostgreSQL's binary format, in the order of the statement.

        Args:
            given: The values of the parameters, by name. ``None`` means NULL.

        Raises:
            UnicodeEncodeError: The client encoding lacks a character of a text.
        """
        return [None if (value := given[name]) is None else pack(value) for name, pack in self._packers]

    def unpack(self, result: Any) -> list[tuple[Any, ...]]:
        """Decode the rows of a result from PostgreSQL's binary format to Python values.

        Args:
            result: A result of libpq in binary format.
        """
        get, readers = result.get_value, self._readers
        return [
            tuple([None if (sent := get(row, number)) is None else read(sent) for number, read in readers])
            for row in range(result.ntuples)
        ]

    def completed(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Add to each returned row the columns that the statement leaves out because their values are known.

        Args:
            rows: The rows that the database returned.
        """
        return rows if self._complete is None else [self._complete(row) for row in rows]

    @lru_cache(maxsize=256)  # noqa: B019 - the cache keeps only the few statements of the library
    def in_encoding(self, encoding: str) -> Statement:
        """Return the same statement for a connection whose texts have another encoding than UTF-8.

        Args:
            encoding: Python's name of the connection's encoding.
        """
        text = WireType(TEXT.oid, lambda value: value.encode(encoding), lambda sent: sent.decode(encoding))
        given = [(name, text if kind is TEXT else kind) for name, kind in self.parameters]
        columns = [text if kind is TEXT else kind for kind in self.columns]
        return Statement(self.text, given, columns, self._complete)
