"""The breaker table: columns, types and limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN

from cbstore_sql.core.model import OVERRIDES, STATES, Row
from cbstore_sql.core.validation import MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_TOKEN_BYTES
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.sql.schema.functions import size_in_bytes

DEFAULT_SCHEMA = "cbstore"
"""The PostgreSQL schema of the table; SQLite has no schemas."""

TABLE_NAME = "breakers"
VERSION_TABLE = "cbstore_version"

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)


def check_identifier(label: str, value: str) -> str:
    """Check that SQL accepts the name of a schema or table without quotes, and return the name.

    Args:
        label: The name of the argument, for the error message.
        value: The name to check.

    Raises:
        ConfigurationError: The name has characters other than lower-case letters, digits and underscores, or begins
            with a digit, or is empty or longer than 63 characters.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ConfigurationError(f"{label} must match [a-z_][a-z0-9_]{{0,62}}")
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of columns, with the values that the database allows in such a column.

    Attributes:
        base: The SQL type without the check.
        holds: A function that takes an SQL value and returns an SQL condition: it is true if the value is allowed.
        check: The last part of the name of the CHECK constraint, on SQLite.
        columns: The names of the columns that have this type.
    """

    base: sa.types.TypeEngine[Any]
    holds: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]
    check: str
    columns: tuple[str, ...]


# The collation "C" compares names byte by byte, which is fast. The index does not depend on the version of a collation.
_TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Whole numbers up to this bound are exact in double precision. In PostgreSQL, NaN and infinity are above every bound.
_LARGEST_COUNT = 2**53
_LARGEST_SECONDS = 10**12

KINDS = {
    "breaker_state": Kind(_TEXT, lambda value: value.in_(STATES), "known", columns=("state", "previous_state")),
    "breaker_name": Kind(
        _TEXT, lambda value: size_in_bytes(value) <= MAX_NAME_BYTES, "size", columns=("namespace", "name")
    ),
    "breaker_token": Kind(
        _TEXT, lambda value: size_in_bytes(value) <= MAX_TOKEN_BYTES, "size", columns=("probe_token",)
    ),
    "breaker_count": Kind(
        _COUNT,
        lambda value: value.between(0, _LARGEST_COUNT),
        "range",
        columns=("generation", "failure_count", "success_count", "score_generation"),
    ),
    "breaker_seconds": Kind(
        sa.Double(),
        lambda value: value.between(0, _LARGEST_SECONDS),
        "range",
        columns=(
            *("last_failure_time", "open_until", "open_seconds", "probe_until"),
            *("closed_at", "hold_until", "override_until"),
        ),
    ),
    # A circuit trips when the score reaches 1, and the evidence of one report is at most 1. So the score is at most 2.
    "breaker_score": Kind(sa.Double(), lambda value: value.between(0, 2), "range", columns=("score",)),
    "breaker_override": Kind(_TEXT, lambda value: value.in_(("", *OVERRIDES)), "known", columns=("override",)),
    "breaker_note": Kind(
        _TEXT,
        lambda value: size_in_bytes(value) <= MAX_NOTE_BYTES,
        "size",
        columns=("override_by", "override_reason", "history"),
    ),
}
"""The column types, by the name of the domain on PostgreSQL."""


def make_table(schema: str | None) -> sa.Table:
    """Make SQLAlchemy's description of the breaker table. The function creates nothing in a database.

    On PostgreSQL, pages are half filled, so that an updated row finds room on the same page. The primary key is the
    only index, because every update would also have to write to an index on a column that changes. On PostgreSQL,
    domains hold the checks of the columns, because PostgreSQL parses the CHECK constraints of a table for each update.

    Args:
        schema: The schema of the table; ``None`` means the connection's default schema (SQLite).
    """
    types = {column: type_ for name, kind in KINDS.items() for column, type_ in _typed(name, kind, schema)}
    table = sa.Table(
        TABLE_NAME,
        sa.MetaData(schema=schema),
        sa.Column("namespace", types["namespace"], primary_key=True),
        sa.Column("name", types["name"], primary_key=True),
        *(_rule_column(name, types[name], default) for name, default in Row._field_defaults.items()),
        *_checks(),
    )
    # sa.Table accepts storage parameters only from SQLAlchemy 2.1 on.
    fill = sa.DDL("ALTER TABLE %(fullname)s SET (fillfactor = 50)")  # type: ignore[no-untyped-call] # it has no types
    sa.event.listen(table, "after_create", fill.execute_if(dialect="postgresql"))
    return table


def _typed(name: str, kind: Kind, schema: str | None) -> Iterator[tuple[str, sa.types.TypeEngine[Any]]]:
    type_ = kind.base
    if schema is not None:
        condition: Any = kind.holds(sa.literal_column("VALUE"))
        type_ = type_.with_variant(_Domain(name, kind.base, check=condition, schema=schema), "postgresql")
    return zip(kind.columns, repeat(type_), strict=False)


class _Domain(DOMAIN):
    """A PostgreSQL domain type that writes constants as the base type of the domain does."""

    def literal_processor(self, dialect: Any) -> Any:
        return self.data_type.literal_processor(dialect)


def _rule_column(name: str, type_: sa.types.TypeEngine[Any], default: Any) -> sa.Column[Any]:
    literal = f"'{default}'" if isinstance(default, str) else repr(default)
    return sa.Column(name, type_, nullable=False, server_default=sa.text(literal))


def _checks() -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint(kind.holds(sa.column(column, kind.base)), name=f"ck_breakers_{column}_{kind.check}").ddl_if(
            dialect="sqlite"
        )
        for kind in KINDS.values()
        for column in kind.columns
    ]
