"""``cbstore status``: show the breakers of a database."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, seconds
from cbstore_sql.cli.describe import describe
from cbstore_sql.cli.stores import Breakers, read_all
from cbstore_sql.core.model import STATES, State

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

_ORDER = (State.OPEN, State.HALF_OPEN, State.CLOSED)
NO_BREAKERS = "no breakers (one that never failed is not in the table)"


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore status``, which prints the table of breakers.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "status",
        "show the breakers of a database, open ones first",
        examples=(
            "cbstore status --url postgresql://app@db/app",
            "cbstore status --state open --state half_open",
            "cbstore status --watch",
            "cbstore status --json | jq -r '.[] | select(.state == \"open\") | .name'",
            "cbstore status --fail-if-open > /dev/null || page-someone",
        ),
    )
    add_database(parser)
    parser.add_argument(
        "--namespace",
        default=os.environ.get("CBSTORE_NAMESPACE") or None,
        help="only the breakers of this namespace (default: $CBSTORE_NAMESPACE, then all)",
    )
    parser.add_argument(
        "--state", action="append", choices=STATES, help="only the breakers in this state; may be given several times"
    )
    parser.add_argument("--fail-if-open", action="store_true", help="end with 1 when a breaker shown is not closed")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="a list of objects; times are ISO 8601 in UTC")
    shape.add_argument(
        "--watch",
        type=seconds,
        nargs="?",
        const=2.0,
        metavar="TIME",
        help="show them again and again, this far apart (default: 2s), until interrupted",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table of breakers. With ``--json``, print a list of JSON objects.

    With ``--watch``, the command prints the table again and again until the user presses Ctrl-C.

    Args:
        arguments: The parsed arguments of ``cbstore status``.

    Returns:
        The exit code: 1 if the user gave ``--fail-if-open`` without ``--watch`` and a printed breaker is not closed,
        otherwise 0.

    Raises:
        ConfigurationError: The URL cannot be used.
        StoreError: The table is missing, or the database cannot be read.
    """
    if arguments.watch:
        from cbstore_sql.cli.watch import watch

        watch(lambda: select(read_all(arguments), arguments), arguments.watch)
        return exit_codes.OK
    breakers = select(read_all(arguments), arguments)
    if arguments.json:
        say(json.dumps([describe(namespace, snapshot) for namespace, snapshot in breakers], indent=2))
    elif breakers:
        from cbstore_sql.cli.table import show

        show(breakers)
    else:
        say(NO_BREAKERS)
    refusing = any(snapshot.state is not State.CLOSED for _, snapshot in breakers)
    return exit_codes.FOUND if arguments.fail_if_open and refusing else exit_codes.OK


def select(breakers: Breakers, arguments: argparse.Namespace) -> Breakers:
    """Return the breakers that match ``--namespace`` and ``--state``: first open, then half_open, then closed.

    Breakers in the same state are in the order of their namespaces and names.

    Args:
        breakers: All breakers of the database.
        arguments: The parsed arguments with ``namespace`` and ``state``. If an argument is ``None``, every breaker
            matches this argument.
    """
    found = [
        (namespace, snapshot)
        for namespace, snapshot in breakers
        if arguments.namespace in (None, namespace) and (not arguments.state or snapshot.state.value in arguments.state)
    ]
    return sorted(found, key=lambda pair: (_ORDER.index(pair[1].state), pair[0], pair[1].name))
