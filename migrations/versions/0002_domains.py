"""The revision that replaces the CHECKs of the table by domains, on PostgreSQL only.

PostgreSQL reads the CHECKs of a table again for each statement that writes to the table. This took nearly half of the
time of an update. Each session keeps the CHECKs of a domain in memory. SQLite has no domains and compiles the CHECKs
with the statement, so the table in SQLite stays the same.
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

from cbstore_sql.migration.placement import qualified

revision = "0002"
down_revision = "0001"


class _Domain(NamedTuple):
    base: str
    rule: str
    check: str
    columns: tuple[str, ...]


_TEXT = 'TEXT COLLATE "C"'
_DOMAINS = {
    "breaker_name": _Domain(_TEXT, "octet_length({}) <= 512", "size", ("namespace", "name")),
    "breaker_token": _Domain(_TEXT, "octet_length({}) <= 256", "size", ("probe_token",)),
    "breaker_state": _Domain(_TEXT, "{} IN ('closed', 'open', 'half_open')", "known", ("state", "previous_state")),
    "breaker_count": _Domain(
        "BIGINT", "{} BETWEEN 0 AND 9007199254740992", "range", ("generation", "failure_count", "success_count")
    ),
    "breaker_seconds": _Domain(
        "DOUBLE PRECISION",
        "{} BETWEEN 0 AND 1000000000000",
        "range",
        ("last_failure_time", "open_until", "open_seconds", "probe_until"),
    ),
}
_DEFAULTS = {
    "state": "'closed'",
    "previous_state": "'closed'",
    "generation": "0",
    "failure_count": "0",
    "success_count": "0",
    "last_failure_time": "0.0",
    "open_until": "0.0",
    "open_seconds": "0.0",
    "probe_token": "''",
    "probe_until": "0.0",
}


def upgrade() -> None:
    """Create the domains and change the types of the columns to the domains."""
    if op.get_context().dialect.name == "sqlite":
        return
    changes = []
    for name, domain in _DOMAINS.items():
        op.execute(f"CREATE DOMAIN {qualified(name)} AS {domain.base} CHECK ({domain.rule.format('VALUE')})")
        for column in domain.columns:
            changes += [f"DROP CONSTRAINT ck_breakers_{column}_{domain.check}", *_retype(column, qualified(name))]
    _alter(changes)


def downgrade() -> None:
    """Change the columns back to plain types, add the CHECKs to the table, and drop the domains."""
    if op.get_context().dialect.name == "sqlite":
        return
    changes = []
    for domain in _DOMAINS.values():
        for column in domain.columns:
            rule = domain.rule.format(column)
            changes += [
                *_retype(column, domain.base),
                f"ADD CONSTRAINT ck_breakers_{column}_{domain.check} CHECK ({rule})",
            ]
    _alter(changes)
    for name in _DOMAINS:
        op.execute(f"DROP DOMAIN {qualified(name)}")


def _retype(column: str, type_: str) -> list[str]:
    changes = [f"ALTER COLUMN {column} TYPE {type_}"]
    if column in _DEFAULTS:
        # Without this, the default would keep the old type.
        default = f"ALTER COLUMN {column} SET DEFAULT {_DEFAULTS[column]}"
        changes = [f"ALTER COLUMN {column} DROP DEFAULT", *changes, default]
    return changes


def _alter(changes: list[str]) -> None:
    # One statement for all changes, so that PostgreSQL rewrites the table only once.
    op.execute(f"ALTER TABLE {qualified('breakers')}\n    " + ",\n    ".join(changes))
