"""The one table."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from cbstore_sql.commands import MAX_NAME_BYTES, MAX_TOKEN_BYTES
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.model import STATES, Row
from cbstore_sql.stores.sql.functions import size_in_bytes

DEFAULT_SCHEMA = "cbstore"
"""The PostgreSQL schema the table stands in; SQLite has none."""

TABLE_NAME = "breakers"
VERSION_TABLE = "cbstore_version"

# Names are compared byte by byte: no collation to change under the index, and none slower than this.
_TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SECONDS: sa.Double[float] = sa.Double()
_TYPES: dict[type, sa.types.TypeEngine[Any]] = {str: _TEXT, int: _COUNT, float: _SECONDS}

# Whole numbers stay exact in double precision; NaN and infinity are above every bound, so no row can hold them.
_LARGEST = {int: 2**53, float: 10**12}
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)


def check_identifier(label: str, value: str) -> str:
    """Return a schema or table name that needs no quoting, or say that it is none.

    Raises:
        ConfigurationError: It is not made of lower-case letters, digits and underscores, or is over 63 long.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ConfigurationError(f"{label} must match [a-z_][a-z0-9_]{{0,62}}")
    return value


def make_table(schema: str | None) -> sa.Table:
    """Describe the breaker table.

    Rows are half filled so that an update finds room on its own page, and there is no index but the key: an index
    on a column that changes would make every update write it too.

    Args:
        schema: The schema it stands in, or ``None`` for the connection's default (SQLite).
    """
    table = sa.Table(
        TABLE_NAME,
        sa.MetaData(schema=schema),
        sa.Column("namespace", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        *(_rule_column(field.name, field.default) for field in fields(Row)),
        *_checks(),
    )
    # Before SQLAlchemy 2.1 a table takes no storage parameters itself.
    fill = sa.DDL("ALTER TABLE %(fullname)s SET (fillfactor = 50)")  # type: ignore[no-untyped-call] # it has no types
    sa.event.listen(table, "after_create", fill.execute_if(dialect="postgresql"))
    return table


def _rule_column(name: str, default: Any) -> sa.Column[Any]:
    literal = f"'{default}'" if isinstance(default, str) else repr(default)
    return sa.Column(name, _TYPES[type(default)], nullable=False, server_default=sa.text(literal))


def _checks() -> list[sa.CheckConstraint]:
    sizes = {"namespace": MAX_NAME_BYTES, "name": MAX_NAME_BYTES, "probe_token": MAX_TOKEN_BYTES}
    conditions: dict[str, sa.ColumnElement[bool]] = {}
    for column in ("state", "previous_state"):
        conditions[f"{column}_known"] = sa.column(column).in_(STATES)
    for column, limit in sizes.items():
        conditions[f"{column}_size"] = size_in_bytes(sa.column(column, sa.Text)) <= limit
    for field in fields(Row):
        if isinstance(field.default, (int, float)):
            conditions[f"{field.name}_range"] = sa.column(field.name).between(0, _LARGEST[type(field.default)])
    return [sa.CheckConstraint(condition, name=f"ck_breakers_{name}") for name, condition in conditions.items()]
