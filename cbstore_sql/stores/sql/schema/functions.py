"""The SQL functions whose names differ between PostgreSQL and SQLite.

On PostgreSQL, the text of each function call names the schema ``pg_catalog``. Without the schema, a ``search_path``
could select another function of the same name.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from cbstore_sql.core.history import HISTORY_LENGTH


class server_clock(FunctionElement[float]):
    """An SQL expression for the database's clock, in Unix seconds (double precision).

    On PostgreSQL, the expression gives the time at which it is evaluated. The start of the statement or of the
    transaction would be too early if the statement had to wait for a lock.
    """

    type = sa.Double()
    inherit_cache = True
    name = "server_clock"


class size_in_bytes(FunctionElement[int]):
    """An SQL expression for the size of a text in bytes, in the encoding of the database.

    Args:
        text: An SQL expression for the text.
    """

    type = sa.Integer()
    inherit_cache = True
    name = "size_in_bytes"


class is_among(FunctionElement[bool]):
    """An SQL condition that is true if a text is in a list.

    Args:
        text: An SQL expression for the text.
        among: A parameter whose value is the list as a JSON array of texts.
    """

    type = sa.Boolean()
    inherit_cache = True
    name = "is_among"


class with_entry(FunctionElement[str]):
    """An SQL expression for a breaker's history text with a new entry in front, cut off at the longest length.

    It is the SQL form of `cbstore_sql.core.history.append`.

    Args:
        now: The time of the entry, Unix seconds.
        *texts: The parts of the entry that follow the time, then the previous history.
    """

    type = sa.Text()
    inherit_cache = True
    name = "with_entry"


class first_letter(FunctionElement[str]):
    """An SQL expression for the first letter of a text.

    Args:
        text: An SQL expression for the text.
    """

    type = sa.Text()
    inherit_cache = True
    name = "first_letter"


@compiles(server_clock, "postgresql")
def _clock_postgresql(element: server_clock, compiler: SQLCompiler, **options: Any) -> str:
    # Unlike extract, date_part returns double precision, without a cast.
    return "pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())"


@compiles(server_clock, "sqlite")
def _clock_sqlite(element: server_clock, compiler: SQLCompiler, **options: Any) -> str:
    # 'subsec' needs SQLite 3.42. Julian days are exact to the millisecond, and are constant within one statement.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(size_in_bytes, "postgresql")
def _size_postgresql(element: size_in_bytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_catalog.octet_length({compiler.process(element.clauses, **options)})"


@compiles(size_in_bytes, "sqlite")
def _size_sqlite(element: size_in_bytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


@compiles(is_among, "postgresql")
def _among_postgresql(element: is_among, compiler: SQLCompiler, **options: Any) -> str:
    text, among = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{text} = ANY (ARRAY(SELECT pg_catalog.json_array_elements_text(CAST({among} AS pg_catalog.json))))"


@compiles(is_among, "sqlite")
def _among_sqlite(element: is_among, compiler: SQLCompiler, **options: Any) -> str:
    text, among = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{text} IN (SELECT value FROM json_each({among}))"  # noqa: S608 - put together from compiled SQL


@compiles(with_entry, "postgresql")
def _entry_postgresql(element: with_entry, compiler: SQLCompiler, **options: Any) -> str:
    now, *texts = (compiler.process(clause, **options) for clause in element.clauses)
    # One call of concat costs less than several || operators, and writes a whole double without a decimal point.
    time = f"pg_catalog.floor({now} * 1000)"
    return f"pg_catalog.substr(pg_catalog.concat({', '.join([time, *texts])}), 1, {HISTORY_LENGTH})"


@compiles(with_entry, "sqlite")
def _entry_sqlite(element: with_entry, compiler: SQLCompiler, **options: Any) -> str:
    now, *texts = (compiler.process(clause, **options) for clause in element.clauses)
    # CAST rounds towards zero; times are never negative.
    time = f"CAST({now} * 1000 AS INTEGER)"
    return f"substr({' || '.join([time, *texts])}, 1, {HISTORY_LENGTH})"


@compiles(first_letter, "postgresql")
def _letter_postgresql(element: first_letter, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_catalog.substr({compiler.process(element.clauses, **options)}, 1, 1)"


@compiles(first_letter, "sqlite")
def _letter_sqlite(element: first_letter, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 1)"
