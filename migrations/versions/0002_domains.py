"""On PostgreSQL a column's type says what it may hold, no longer a CHECK of the table.

PostgreSQL reads the CHECKs of a table anew for each statement that writes to it, which was nearly half of what an
update took; those of a domain each session keeps. SQLite has no domains, and compiles CHECKs with the statement.
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
    """Make the domains and give them to the columns."""
    if op.get_context().dialect.name == "sqlite":
        return
    changes = []
    for name, domain in _DOMAINS.items():
        op.execute(f"CREATE DOMAIN {qualified(name)} AS {domain.base} CHECK ({domain.rule.format('VALUE')})")
        for column in domain.columns:
            changes += [f"DROP CONSTRAINT ck_breakers_{column}_{domain.check}", *_retype(column, qualified(name))]
    _alter(changes)


def downgrade() -> None:
    """Give the columns their plain types and the table its CHECKs."""
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
        # BasePool, a default would stay one of the type before.
        default = f"ALTER COLUMN {column} SET DEFAULT {_DEFAULTS[column]}"
        changes = [f"ALTER COLUMN {column} DROP DEFAULT", *changes, default]
    return changes


def _alter(changes: list[str]) -> None:
    # At once, so that the table is written anew but once.
    op.execute(f"ALTER TABLE {qualified('breakers')}\n    " + ",\n    ".join(changes))
