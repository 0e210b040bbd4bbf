"""The one table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
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
    """Return a schema or table name that needs no quoting, or raise.

    Raises:
        ConfigurationError: It has other characters than lower-case letters, digits and underscores, or more than 63.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ConfigurationError(f"{label} must match [a-z_][a-z0-9_]{{0,62}}")
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """The allowed values of some columns; the database checks them, also for rows that are written by hand.

    Attributes:
        base: The type without the check.
        holds: Makes the condition of a value.
        check: The end of its CHECK's name, on SQLite.
        columns: The columns' names.
    """

    base: sa.types.TypeEngine[Any]
    holds: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]
    check: str
    columns: tuple[str, ...]


# Names are compared byte by byte: the index does not depend on a collation's version, and nothing is faster.
_TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Up to here whole numbers are exact in double precision. NaN and infinity are above every bound.
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
    # Evidence of a single report is at most the whole limit, and a circuit trips when the score reaches it.
    "breaker_score": Kind(sa.Double(), lambda value: value.between(0, 2), "range", columns=("score",)),
    "breaker_override": Kind(_TEXT, lambda value: value.in_(("", *OVERRIDES)), "known", columns=("override",)),
    "breaker_note": Kind(
        _TEXT,
        lambda value: size_in_bytes(value) <= MAX_NOTE_BYTES,
        "size",
        columns=("override_by", "override_reason", "history"),
    ),
}
"""By the name of the domain on PostgreSQL."""


def make_table(schema: str | None) -> sa.Table:
    """Describe the breaker table.

    Pages are half filled so that an update finds room on the row's own page. The key is the only index: an index
    on a column that changes would make every update write to it. On PostgreSQL domains hold the checks of the
    columns, because it parses the CHECKs of a table again for each update.

    Args:
        schema: The table's schema, or ``None`` for the connection's default (SQLite).
    """
    types = {column: type_ for name, kind in KINDS.items() for column, type_ in _typed(name, kind, schema)}
    table = sa.Table(
        TABLE_NAME,
        sa.MetaData(schema=schema),
        sa.Column("namespace", types["namespace"], primary_key=True),
        sa.Column("name", types["name"], primary_key=True),
        *(_rule_column(field.name, types[field.name], field.default) for field in fields(Row)),
        *_checks(),
    )
    # A table takes storage parameters itself only from SQLAlchemy 2.1 on.
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
    """A domain whose constants are written like those of its base type."""

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
