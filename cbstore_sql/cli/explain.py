"""``cbstore explain NAME``: explain in plain sentences why a breaker is in its state."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, add_name
from cbstore_sql.cli.names import find
from cbstore_sql.cli.stores import with_store
from cbstore_sql.core.explanation import explain

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore explain``, which prints why a breaker is in its state.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "explain",
        "say why a breaker is in its state and what happens next",
        examples=("cbstore explain payments", "cbstore explain payments --namespace web"),
    )
    add_name(parser)
    add_database(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print why a breaker is in its current state and what happens next, one sentence on a line.

    Args:
        arguments: The parsed arguments of ``cbstore explain``.

    Returns:
        The exit code 0.

    Raises:
        RefusedError: The breaker does not exist.
        StoreError: The database cannot be read.
    """
    snapshot = find(arguments)
    for sentence in explain(snapshot, with_store(arguments, lambda store: store.history(arguments.name))):
        say(sentence)
    return exit_codes.OK
