"""``cbstore unlock NAME``: end the override of a breaker."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, add_name, log_action, operator
from cbstore_sql.cli.names import find
from cbstore_sql.cli.stores import with_store
from cbstore_sql.core.wording import printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore unlock``, which ends the override that ``cbstore lock`` set.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "unlock",
        "end the override of a breaker",
        details="The circuit's own state, which went on underneath, decides again.",
        examples=("cbstore unlock payments",),
    )
    add_name(parser)
    parser.add_argument("--reason", help="why, for the log")
    parser.add_argument("--by", default=operator(), help="who does it (default: %(default)s)")
    add_database(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """End the override that ``cbstore lock`` set for a breaker, and print which override was active before.

    Args:
        arguments: The parsed arguments of ``cbstore unlock``.

    Returns:
        The exit code 0.

    Raises:
        RefusedError: The breaker does not exist.
        StoreError: The database is unreachable, or refuses the change.
    """
    before = find(arguments).active_override
    with_store(arguments, lambda store: store.clear_override(arguments.name, by=arguments.by))
    state = f"it was locked {before}" if before else "it was not locked"
    say(f"{printable(arguments.name)}: unlocked ({state})")
    log_action(arguments)
    return exit_codes.OK
