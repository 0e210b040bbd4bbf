"""The few SQL functions that the dialects spell differently."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class server_clock(FunctionElement[float]):
    """The database's clock, Unix seconds in double precision.

    On PostgreSQL the time the expression is reached, not the time the statement or its transaction began: those are
    stale by as long as the statement waited for the row.
    """

    type = sa.Double()
    inherit_cache = True
    name = "server_clock"


class size_in_bytes(FunctionElement[int]):
    """The size of a text in bytes of the database's encoding."""

    type = sa.Integer()
    inherit_cache = True
    name = "size_in_bytes"


class is_among(FunctionElement[bool]):
    """Whether a text is one of a list that comes as a single parameter, in JSON."""

    type = sa.Boolean()
    inherit_cache = True
    name = "is_among"


@compiles(server_clock, "postgresql")
def _clock_postgresql(element: server_clock, compiler: SQLCompiler, **options: Any) -> str:
    # Unlike extract, it is double precision from the start.
    return "date_part('epoch', clock_timestamp())"


@compiles(server_clock, "sqlite")
def _clock_sqlite(element: server_clock, compiler: SQLCompiler, **options: Any) -> str:
    # Before 3.42 there is no 'subsec'; Julian days reach to the millisecond, and one statement sees one time.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(size_in_bytes, "postgresql")
def _size_postgresql(element: size_in_bytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(size_in_bytes, "sqlite")
def _size_sqlite(element: size_in_bytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


@compiles(is_among, "postgresql")
def _among_postgresql(element: is_among, compiler: SQLCompiler, **options: Any) -> str:
    text, among = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{text} = ANY (ARRAY(SELECT json_array_elements_text(CAST({among} AS JSON))))"


@compiles(is_among, "sqlite")
def _among_sqlite(element: is_among, compiler: SQLCompiler, **options: Any) -> str:
    text, among = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{text} IN (SELECT value FROM json_each({among}))"  # noqa: S608 - put together from compiled SQL
