"""``cbstore migrate``: create, upgrade or downgrade the breaker table."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database
from cbstore_sql.cli.exit_codes import RefusedError
from cbstore_sql.cli.stores import existing, in_time, is_redis, url_of
from cbstore_sql.runtime.environment import url_is_set

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers
    from cbstore_sql.migration.runner import Target

# Seconds. A migration waits for the end of another migration, and tries several times to lock the table.
_TIMEOUT = 120.0


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore migrate``, which creates, upgrades or downgrades the breaker table.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "migrate",
        "create or upgrade the breaker table",
        examples=(
            "cbstore migrate --url postgresql://owner@db/app",
            "cbstore migrate --check",
            "cbstore migrate --sql > breakers.sql",
            "cbstore migrate --downgrade 0001",
        ),
    )
    add_database(parser, timeout=_TIMEOUT, redis=False)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--sql",
        action="store_true",
        help="print the SQL for an empty database and connect to none (PostgreSQL's unless a URL names another)",
    )
    how.add_argument("--check", action="store_true", help="change nothing; end with 1 unless the table is current")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--downgrade", metavar="REV", help="go back to a revision; base drops the table")
    where.add_argument("revision", nargs="?", default="head", metavar="REV", help="go up to a revision (default: head)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Migrate the breaker table to a revision, and print the previous and the new revision.

    With ``--check``, the command only prints whether the table is at the newest revision. With ``--sql``, the command
    prints the SQL of the migration and connects to no database.

    Args:
        arguments: The parsed arguments of ``cbstore migrate``.

    Returns:
        The exit code: 1 if ``--check`` found that the table is missing or not at the newest revision, otherwise 0.

    Raises:
        ConfigurationError: The URL, a name or the revision cannot be used.
        RefusedError: The store is Redis, which has no table.
        StoreError: The database is unreachable or refuses the migration, or the table is newer than the library.
    """
    from cbstore_sql.migration.runner import Target

    url = url_of(arguments)
    if is_redis(url):
        raise RefusedError("there is nothing to migrate on Redis: it has no table")
    if arguments.sql:
        place = url if arguments.url or url_is_set() else "postgresql"
        return _print_sql(Target.from_environment(place, arguments.schema), arguments)
    target = Target.from_environment(url, arguments.schema)
    return in_time(arguments.timeout, lambda: _check(target) if arguments.check else _move(target, arguments))


def _print_sql(target: Target, arguments: argparse.Namespace) -> int:
    from cbstore_sql.migration import migration_sql

    down = arguments.downgrade is not None
    revision = arguments.downgrade if down else arguments.revision
    sys.stdout.write(
        migration_sql(
            target.place, schema=target.schema, version_table=target.version_table, revision=revision, down=down
        )
    )
    return exit_codes.OK


def _check(target: Target) -> int:
    from cbstore_sql.migration.state import table_state

    existing(str(target.place))
    state = table_state(target)
    if state.is_current:
        say(f"{target.table_name} is at revision {state.current}, the newest")
        return exit_codes.OK
    where = f"is at revision {state.current}" if state.current else "is missing"
    say(f"{target.table_name} {where}; the newest revision is {state.newest}: run 'cbstore migrate'")
    return exit_codes.FOUND


def _move(target: Target, arguments: argparse.Namespace) -> int:
    from cbstore_sql.migration import downgrade, migrate
    from cbstore_sql.migration.state import table_state

    before = table_state(target).current
    names = {"schema": target.schema, "version_table": target.version_table}
    if arguments.downgrade is None:
        migrate(target.place, revision=arguments.revision, **names)
    else:
        downgrade(target.place, arguments.downgrade, **names)
    after = table_state(target).current
    if before == after:
        say(f"{target.table_name} is at revision {after or 'base'} already; nothing to do")
    else:
        say(f"{target.table_name}: migrated from revision {before or 'base'} to {after or 'base'}")
    return exit_codes.OK
