"""The check of the table's revision, the same on every SQL database."""

from __future__ import annotations

from cbstore_sql.cli.doctor.findings import Finding, ok, wrong
from cbstore_sql.migration.runner import Target
from cbstore_sql.migration.state import table_state


def check_revision(target: Target) -> Finding:
    """Check that the table is at the newest revision that the library knows.

    Args:
        target: The breaker table.
    """
    state = table_state(target)
    if state.is_current:
        return ok("table", f"{target.table_name} is at revision {state.current}, the newest")
    where = f"is at revision {state.current}, the newest is {state.newest}" if state.current else "is missing"
    return wrong("table", f"{target.table_name} {where}", "run 'cbstore migrate' as the role that owns the table")
