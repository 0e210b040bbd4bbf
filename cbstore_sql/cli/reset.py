"""``cbstore close NAME``: close a circuit now and forget its failures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_action, add_database, add_name, log_action
from cbstore_sql.cli.names import find
from cbstore_sql.cli.stores import with_store
from cbstore_sql.core.wording import printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore close``, which closes a circuit.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "close",
        "close a circuit at once and forget its failures",
        details="New failures open it again. To keep it closed, use 'cbstore lock NAME closed'.",
        examples=("cbstore close payments --reason 'provider fixed it'",),
    )
    add_name(parser)
    add_action(parser)
    add_database(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Close a circuit, set its number of failures to 0, and print its previous state.

    Args:
        arguments: The parsed arguments of ``cbstore close``.

    Returns:
        The exit code 0.

    Raises:
        RefusedError: The breaker does not exist.
        StoreError: The database is unreachable, or refuses the change.
    """
    find(arguments)
    transition = with_store(arguments, lambda store: store.reset(arguments.name, by=arguments.by))
    say(f"{printable(arguments.name)}: {transition.previous_state.value} -> closed; its failures are forgotten")
    log_action(arguments)
    return exit_codes.OK
