"""``cbstore prune``: delete the rows of breakers that have been idle for a long time."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, seconds
from cbstore_sql.cli.exit_codes import RefusedError
from cbstore_sql.cli.stores import existing, in_time, is_redis, schema_of, url_of

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

# Seconds. A large table needs many short statements.
_TIMEOUT = 300.0


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore prune``, which deletes the rows of idle breakers.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "prune",
        "forget breakers that have long been idle",
        examples=("cbstore prune --idle-for 30d --dry-run", "cbstore prune --idle-for 2w --namespace tenants"),
    )
    parser.add_argument(
        "--idle-for",
        type=seconds,
        required=True,
        metavar="TIME",
        help="no failure, open time or probe for this long: 30d, 36h or 2w; at least 1h",
    )
    parser.add_argument("--namespace", help="only the breakers of this namespace (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="only say how many there are")
    add_database(parser, timeout=_TIMEOUT, redis=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Delete the rows of breakers that have been idle for the time in ``--idle-for``, and print their number.

    With ``--dry-run``, the command only prints the number.

    Args:
        arguments: The parsed arguments of ``cbstore prune``.

    Returns:
        The exit code 0.

    Raises:
        ConfigurationError: The URL or an argument cannot be used.
        RefusedError: The store is Redis, where keys expire by themselves.
        StoreError: The table is missing, or the database is unreachable or refuses the deletion.
    """
    if is_redis(url_of(arguments)):
        raise RefusedError("there is nothing to prune on Redis: keys expire by themselves (see the store's ttl)")
    from cbstore_sql.stores.sql.prune import prune

    database = existing(url_of(arguments))
    count = in_time(
        arguments.timeout,
        lambda: prune(
            database,
            idle_for=arguments.idle_for,
            namespace=arguments.namespace,
            schema=schema_of(arguments.schema),
            dry_run=arguments.dry_run,
        ),
    )
    say(f"{count} idle breakers {'would be ' if arguments.dry_run else ''}forgotten")
    return exit_codes.OK
