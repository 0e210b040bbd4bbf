"""``cbstore lock NAME MODE``: override a breaker in every process, for a time or until ``cbstore unlock NAME``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_action, add_database, add_name, log_action, seconds
from cbstore_sql.cli.names import find
from cbstore_sql.cli.stores import with_store
from cbstore_sql.core.model import OVERRIDES
from cbstore_sql.core.wording import duration, printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore lock``, which sets the override of a breaker.

    An override keeps a breaker open, closed or in shadow mode for every process, whatever the outcomes of calls are.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "lock",
        "override a breaker in every process: open, closed or shadow",
        details=(
            "open: refuses every call, whatever its probes say.\n"
            "closed: lets every call through, whatever fails.\n"
            "shadow: lets every call through and counts what it would have refused, for a rollout.\n"
            "The circuit goes on counting underneath. 'cbstore unlock NAME' ends it."
        ),
        examples=(
            "cbstore lock payments open --for 10m --reason 'provider is double charging'",
            "cbstore lock payments closed --for 1h --reason 'false alarm, ticket 4711'",
            "cbstore lock search shadow --reason 'rollout' --create",
        ),
    )
    add_name(parser)
    parser.add_argument("mode", choices=OVERRIDES, metavar="MODE", help="open, closed or shadow")
    parser.add_argument(
        "--for", dest="seconds", type=seconds, metavar="TIME", help="such as 10m (default: until it is unlocked)"
    )
    add_action(parser)
    parser.add_argument("--create", action="store_true", help="create the breaker if it does not exist")
    add_database(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Set the override of a breaker to ``open``, ``closed`` or ``shadow``, and print the override and its duration.

    An override keeps a breaker open, closed or in shadow mode for every process, whatever the outcomes of calls are.

    Args:
        arguments: The parsed arguments of ``cbstore lock``.

    Returns:
        The exit code 0.

    Raises:
        RefusedError: The breaker does not exist, and ``--create`` is missing.
        StoreError: The database is unreachable, or refuses the change.
    """
    if not arguments.create:
        find(arguments)
    with_store(
        arguments,
        lambda store: store.set_override(
            arguments.name,
            arguments.mode,
            by=arguments.by,
            reason=arguments.reason,
            seconds=arguments.seconds,
            create=arguments.create,
        ),
    )
    until = "until it is unlocked" if arguments.seconds is None else f"for {duration(arguments.seconds)}"
    what = "in shadow mode" if arguments.mode == "shadow" else f"locked {arguments.mode}"
    say(f"{printable(arguments.name)}: {what} {until}")
    log_action(arguments)
    return exit_codes.OK
