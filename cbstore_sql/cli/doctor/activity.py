"""The checks of the activity in a PostgreSQL server: connections, autovacuum, updates, transactions and replication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cbstore_sql.cli.doctor.findings import Finding, note, ok, wrong
from cbstore_sql.core.wording import duration

ReadRow = Callable[..., tuple[Any, ...]]
"""A function from a statement and its parameters to the one row of the statement's result."""

_FEW_CONNECTIONS = 10
_ENOUGH_UPDATES = 1000
_LEAST_HOT_SHARE = 0.9
_LONG_TRANSACTION = 300.0


def connections(row: ReadRow) -> Finding:
    """Check that at least 10 connections are free below the limits of the server, of this role and of this database.

    Args:
        row: The function that runs a statement and returns the one row of the result.
    """
    most, used, role_limit, role_used, database_limit, database_used = row(
        """
        SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
          count(*),
          (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user),
          count(*) FILTER (WHERE usename = current_user),
          (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()),
          count(*) FILTER (WHERE datname = current_database())
        FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'
        """
    )
    limits = [("max_connections", most, used)]
    limits += [("the role's limit", role_limit, role_used)] if role_limit >= 0 else []
    limits += [("the database's limit", database_limit, database_used)] if database_limit >= 0 else []
    name, limit, count = min(limits, key=lambda entry: entry[1] - entry[2])
    text = f"{count} of {limit} in use, by {name}"
    if limit - count < _FEW_CONNECTIONS:
        return wrong(
            "connections", text, "raise the limit, or put a pooler in front; each process takes up to 10 or so"
        )
    return ok("connections", text)


def autovacuum(row: ReadRow, table: str) -> Finding:
    """Check that autovacuum is on for the server and for the breaker table.

    Args:
        row: The function that runs a statement and returns the one row of the result.
        table: The name of the table with its schema.
    """
    setting, options = row(
        "SELECT current_setting('autovacuum'), reloptions FROM pg_catalog.pg_class WHERE oid = %s::regclass", table
    )
    if setting != "on":
        return wrong("autovacuum", "autovacuum is off: the table grows with every failure", "set autovacuum = on")
    if "autovacuum_enabled=false" in (options or []):
        return wrong("autovacuum", f"autovacuum is off for {table}", f"ALTER TABLE {table} RESET (autovacuum_enabled)")
    return ok("autovacuum", "on")


def updates(row: ReadRow, table: str) -> Finding:
    """Check that most updates of the breaker table are HOT updates, which change no index.

    Args:
        row: The function that runs a statement and returns the one row of the result.
        table: The name of the table with its schema.
    """
    total, hot, dead, live = row(
        """
        SELECT n_tup_upd, n_tup_hot_upd, n_dead_tup, n_live_tup FROM pg_catalog.pg_stat_all_tables
        WHERE relid = %s::regclass
        """,
        table,
    )
    text = f"{total} updates, {hot / total:.1%} HOT; {live} live and {dead} dead rows" if total else "no update yet"
    if total >= _ENOUGH_UPDATES and hot / total < _LEAST_HOT_SHARE:
        return note("updates", text, f"look for long transactions; then VACUUM {table}")
    return ok("updates", text)


def transactions(row: ReadRow) -> Finding:
    """Check that no transaction older than 5 minutes keeps PostgreSQL from removing dead row versions.

    Args:
        row: The function that runs a statement and returns the one row of the result.
    """
    idle, oldest, hidden = row(
        """
        SELECT coalesce(max(extract(epoch FROM now() - xact_start))
            FILTER (WHERE state LIKE 'idle in transaction%'), 0)::float8,
          coalesce(max(extract(epoch FROM now() - xact_start)) FILTER (WHERE backend_xmin IS NOT NULL), 0)::float8,
          count(*) FILTER (WHERE query = '<insufficient privilege>')
        FROM pg_catalog.pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
        """
    )
    text = f"longest idle {duration(idle)}, oldest snapshot {duration(oldest)}"
    if max(idle, oldest) > _LONG_TRANSACTION:
        advice = "end it, and set idle_in_transaction_session_timeout: until then dead rows pile up"
        return wrong("transactions", text, advice)
    if hidden:
        advice = "to see them, GRANT pg_read_all_stats to this role"
        return note("transactions", f"{text}; {hidden} sessions of other roles are hidden", advice)
    return ok("transactions", text)


def replication(row: ReadRow) -> Finding:
    """Check whether commits wait for synchronous standbys, and whether such a standby is connected.

    Args:
        row: The function that runs a statement and returns the one row of the result.
    """
    names, commit, standbys, synchronous = row(
        """
        SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'), count(*),
          count(*) FILTER (WHERE sync_state IN ('sync', 'quorum'))
        FROM pg_catalog.pg_stat_replication
        """
    )
    if not names or commit in ("off", "local"):
        text = f"{standbys} standbys connected; commits wait for none"
        return ok("replication", f"{text} (synchronous_commit = {commit})" if commit != "on" else text)
    text = f"commits wait for a standby (synchronous_standby_names = '{names}')"
    if not synchronous:
        advice = "connect a synchronous standby, or empty synchronous_standby_names: until then writes hang"
        return wrong("replication", f"{text}, and none is connected", advice)
    return note("replication", f"{text}; {synchronous} connected", "durability='relaxed' does not wait for counts")
