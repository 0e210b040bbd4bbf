"""``cbstore migrate``: make or change the breaker table."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_schema_argument, add_url_argument, say

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("migrate", help="create or upgrade the breaker table")
    add_url_argument(parser)
    add_schema_argument(parser)
    parser.add_argument("--sql", action="store_true", help="print the SQL for an empty database, connect to none")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--downgrade", metavar="REV", help="go back to a revision; base drops the table")
    where.add_argument("revision", nargs="?", default="head", metavar="REV", help="go up to a revision (default: head)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the subcommand."""
    from cbstore_sql.migration import downgrade, migrate, migration_sql
    from cbstore_sql.migration.runner import Target

    target = Target.from_environment(arguments.url, arguments.schema)
    down = arguments.downgrade is not None
    revision = arguments.downgrade if down else arguments.revision
    names = {"schema": target.schema, "version_table": target.version_table}
    if arguments.sql:
        sys.stdout.write(migration_sql(target.place, revision=revision, down=down, **names))
        return 0
    move = downgrade if down else migrate
    move(target.place, revision=revision, **names)
    say(f"{target.table_name}: migrated to {revision}")
    return 0
