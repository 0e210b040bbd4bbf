"""The revision that adds the columns for the score, the ramp, holds, overrides and the history.

All new columns have a default, so processes of the previous release can still read and write the table. PostgreSQL
rewrites the table to add a column whose domain has a CHECK. One statement adds all columns, so PostgreSQL rewrites the
table only once.
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

from cbstore_sql.migration.placement import qualified

revision = "0003"
down_revision = "0002"


class _Domain(NamedTuple):
    base: str
    rule: str


class _Column(NamedTuple):
    name: str
    domain: str
    sqlite_type: str
    default: str
    rule: str
    check: str


_DOMAINS = {
    "breaker_score": _Domain("DOUBLE PRECISION", "{} BETWEEN 0 AND 2"),
    "breaker_override": _Domain('TEXT COLLATE "C"', "{} IN ('', 'open', 'closed', 'shadow')"),
    "breaker_note": _Domain('TEXT COLLATE "C"', "pg_catalog.octet_length({}) <= 256"),
}

_SECONDS = "{} BETWEEN 0 AND 1000000000000"
_NOTE = "length(CAST({} AS BLOB)) <= 256"

_COLUMNS = (
    _Column("score", "breaker_score", "DOUBLE", "0.0", "{} BETWEEN 0 AND 2", "range"),
    _Column("score_generation", "breaker_count", "INTEGER", "0", "{} BETWEEN 0 AND 9007199254740992", "range"),
    _Column("closed_at", "breaker_seconds", "DOUBLE", "0.0", _SECONDS, "range"),
    _Column("hold_until", "breaker_seconds", "DOUBLE", "0.0", _SECONDS, "range"),
    _Column("override", "breaker_override", "TEXT", "''", "{} IN ('', 'open', 'closed', 'shadow')", "known"),
    _Column("override_until", "breaker_seconds", "DOUBLE", "0.0", _SECONDS, "range"),
    _Column("override_by", "breaker_note", "TEXT", "''", _NOTE, "size"),
    _Column("override_reason", "breaker_note", "TEXT", "''", _NOTE, "size"),
    _Column("history", "breaker_note", "TEXT", "''", _NOTE, "size"),
)


def upgrade() -> None:
    """Add the new columns."""
    if op.get_context().dialect.name == "sqlite":
        for column in _COLUMNS:
            check = f"CONSTRAINT ck_breakers_{column.name}_{column.check} CHECK ({column.rule.format(column.name)})"
            definition = f"{column.name} {column.sqlite_type} DEFAULT {column.default} NOT NULL {check}"
            op.execute(f"ALTER TABLE breakers ADD COLUMN {definition}")
        return
    for name, domain in _DOMAINS.items():
        op.execute(f"CREATE DOMAIN {qualified(name)} AS {domain.base} CHECK ({domain.rule.format('VALUE')})")
    _alter([f"ADD COLUMN {c.name} {qualified(c.domain)} DEFAULT {c.default} NOT NULL" for c in _COLUMNS])


def downgrade() -> None:
    """Drop the columns. This deletes all scores, holds, overrides and histories."""
    if op.get_context().dialect.name == "sqlite":
        for column in reversed(_COLUMNS):
            op.execute(f"ALTER TABLE breakers DROP COLUMN {column.name}")
        return
    _alter([f"DROP COLUMN {column.name}" for column in _COLUMNS])
    for name in _DOMAINS:
        op.execute(f"DROP DOMAIN {qualified(name)}")


def _alter(changes: list[str]) -> None:
    op.execute(f"ALTER TABLE {qualified('breakers')}\n    " + ",\n    ".join(changes))
