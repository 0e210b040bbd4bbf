"""Functions with which tests read and change a database directly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_POSTGRESQL = {
    "columns": """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, collname, pg_get_expr(adbin, adrelid)
        FROM pg_attribute
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        LEFT JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE attrelid = CAST('{table}' AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
    "constraints": """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = CAST('{table}' AS regclass) ORDER BY conname""",
    "indexes": "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = CAST('{table}' AS regclass)",
    "domains": """
        SELECT typname, format_type(typbasetype, typtypmod), collname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_type
        JOIN pg_constraint ON contypid = pg_type.oid
        LEFT JOIN pg_collation ON pg_collation.oid = typcollation
        WHERE typnamespace = (SELECT relnamespace FROM pg_class WHERE oid = CAST('{table}' AS regclass))
        ORDER BY typname""",
    "storage": "SELECT reloptions FROM pg_class WHERE oid = CAST('{table}' AS regclass)",
}
_SQLITE = {
    "columns": "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}') ORDER BY cid",
    "indexes": "SELECT name, sql FROM sqlite_master WHERE tbl_name = '{table}' AND type <> 'table' ORDER BY name",
}
_SQLITE_CHECK = re.compile(r"CONSTRAINT (\w+) CHECK \(")


@dataclass(frozen=True)
class Role:
    """A PostgreSQL role and the URL with which it logs in."""

    name: str
    password: str
    url: str


def qualified(url: str, table: str = "breakers") -> str:
    """Return the qualified name of one of the library's tables for a statement."""
    return f"cbstore.{table}" if url.startswith("postgresql") else table


def execute(url: str, *statements: str) -> None:
    """Run statements, each committed by itself."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def make_strange_table(url: str) -> None:
    """Create a foreign table with the name of the breaker table."""
    if url.startswith("postgresql"):
        execute(url, "CREATE SCHEMA cbstore")
    execute(url, f"CREATE TABLE {qualified(url)} (mine INTEGER)")


def described(url: str, schema: str = "cbstore") -> dict[str, Any]:
    """Return everything that the catalogue of the database says about the breaker table."""
    postgresql = url.startswith("postgresql")
    table = f"{schema}.breakers" if postgresql else "breakers"
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        found: dict[str, Any] = {
            what: [_without_spacing(row) for row in connection.exec_driver_sql(query.format(table=table))]
            for what, query in (_POSTGRESQL if postgresql else _SQLITE).items()
        }
        if not postgresql:
            query = "SELECT sql FROM sqlite_master WHERE name = 'breakers'"
            found["checks"] = _checks(str(connection.exec_driver_sql(query).scalar()))
    return found


def _checks(create_table: str) -> list[tuple[str, str]]:
    """The CHECKs of a table by name: one of a column that was added later stands beside the column."""
    checks = []
    for match in _SQLITE_CHECK.finditer(create_table):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(create_table[end], 0)
            end += 1
        checks.append((match[1], create_table[match.end() : end - 1]))
    return sorted(checks)


def table_names(url: str, schema: str = "cbstore") -> set[str]:
    """Return the names of the tables of the schema or of the SQLite file."""
    inspector = sa.inspect(sa.create_engine(url, poolclass=sa.NullPool))
    return set(inspector.get_table_names(schema if url.startswith("postgresql") else None))


def _without_spacing(row: Any) -> tuple[Any, ...]:
    return tuple(" ".join(value.split()) if isinstance(value, str) else value for value in row)
