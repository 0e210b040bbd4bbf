"""The revision that creates the breaker table.

This file contains the full definition of the table, because a revision must not change if
`cbstore_sql.stores.sql.schema.table` changes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from cbstore_sql.migration.placement import ensure_schema, table_schema

revision = "0001"
down_revision = None
branch_labels = ("cbstore",)

_STATES = "IN ('closed', 'open', 'half_open')"
_COUNTS = "BETWEEN 0 AND 9007199254740992"
_SECONDS = "BETWEEN 0 AND 1000000000000"


def upgrade() -> None:
    """Create the breaker table."""
    ensure_schema()
    context = op.get_context()
    sqlite = context.dialect.name == "sqlite"
    text: sa.types.TypeEngine[str] = sa.Text() if sqlite else sa.Text(collation="C")
    count: sa.types.TypeEngine[int] = sa.Integer() if sqlite else sa.BigInteger()

    def column(name: str, kind: sa.types.TypeEngine[Any], default: str) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=False, server_default=sa.text(default))

    table = op.create_table(
        "breakers",
        sa.Column("namespace", text, primary_key=True),
        sa.Column("name", text, primary_key=True),
        column("state", text, "'closed'"),
        column("previous_state", text, "'closed'"),
        column("generation", count, "0"),
        column("failure_count", count, "0"),
        column("success_count", count, "0"),
        column("last_failure_time", sa.Double(), "0.0"),
        column("open_until", sa.Double(), "0.0"),
        column("open_seconds", sa.Double(), "0.0"),
        column("probe_token", text, "''"),
        column("probe_until", sa.Double(), "0.0"),
        *_checks("length(CAST({} AS BLOB))" if sqlite else "octet_length({})"),
        schema=table_schema(),
    )
    if not sqlite:
        name = context.dialect.identifier_preparer.format_table(table)
        op.execute(f"ALTER TABLE {name} SET (fillfactor = 50)")


def _checks(size: str) -> list[sa.CheckConstraint]:
    conditions = {
        "state_known": f"state {_STATES}",
        "previous_state_known": f"previous_state {_STATES}",
        "namespace_size": f"{size.format('namespace')} <= 512",
        "name_size": f"{size.format('name')} <= 512",
        "probe_token_size": f"{size.format('probe_token')} <= 256",
        "generation_range": f"generation {_COUNTS}",
        "failure_count_range": f"failure_count {_COUNTS}",
        "success_count_range": f"success_count {_COUNTS}",
        "last_failure_time_range": f"last_failure_time {_SECONDS}",
        "open_until_range": f"open_until {_SECONDS}",
        "open_seconds_range": f"open_seconds {_SECONDS}",
        "probe_until_range": f"probe_until {_SECONDS}",
    }
    return [sa.CheckConstraint(condition, name=f"ck_breakers_{name}") for name, condition in conditions.items()]


def downgrade() -> None:
    """Drop the breaker table. This deletes the state of every breaker."""
    op.drop_table("breakers", schema=table_schema())
