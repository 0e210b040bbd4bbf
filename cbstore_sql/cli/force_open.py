"""``cbstore open NAME``: open a circuit for a time. After this time, a probe shows whether the circuit can close."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_action, add_database, add_name, log_action, seconds
from cbstore_sql.cli.names import find
from cbstore_sql.cli.stores import with_store
from cbstore_sql.core.wording import duration, printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore open``, which opens a circuit for a time.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "open",
        "open a circuit for a while; then a probe decides",
        details="To keep a circuit open whatever its probes say, use 'cbstore lock NAME open'.",
        examples=(
            "cbstore open payments --for 10m --reason 'provider announced maintenance'",
            "cbstore open payments --for 1h30m --reason 'cost limit' --create",
        ),
    )
    add_name(parser)
    parser.add_argument(
        "--for", dest="seconds", type=seconds, required=True, metavar="TIME", help="at least this long, such as 10m"
    )
    add_action(parser)
    parser.add_argument("--create", action="store_true", help="create the breaker if it does not exist")
    add_database(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Open a circuit for the time in ``--for``, and print the previous state and the time until the next probe.

    Args:
        arguments: The parsed arguments of ``cbstore open``.

    Returns:
        The exit code 0.

    Raises:
        RefusedError: The breaker does not exist, and ``--create`` is missing.
        StoreError: The database is unreachable, or refuses the change.
    """
    if not arguments.create:
        find(arguments)
    transition = with_store(
        arguments, lambda store: store.force_open(arguments.name, arguments.seconds, by=arguments.by)
    )
    left = duration(transition.snapshot.retry_after)
    say(f"{printable(arguments.name)}: {transition.previous_state.value} -> open; a probe is due in {left}")
    log_action(arguments)
    return exit_codes.OK
