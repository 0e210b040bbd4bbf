"""``cbstore show NAME``: everything the database knows about one breaker."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, add_name
from cbstore_sql.cli.describe import describe
from cbstore_sql.cli.names import find
from cbstore_sql.cli.style import last_failure_words, next_words, state_words
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.wording import printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        "show",
        "show everything about one breaker",
        examples=("cbstore show payments", "cbstore show payments --namespace web --json"),
    )
    add_name(parser)
    add_database(parser)
    parser.add_argument("--json", action="store_true", help="one object; times are ISO 8601 in UTC")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the subcommand.

    Raises:
        RefusedError: There is no such breaker.
        StoreError: The database cannot be read.
    """
    snapshot = find(arguments)
    if arguments.json:
        say(json.dumps(describe(arguments.namespace, snapshot), indent=2))
        return exit_codes.OK
    for label, text in fields(arguments.namespace, snapshot):
        say(f"{label:<13} {text}")
    return exit_codes.OK


def fields(namespace: str, snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return what to show of one breaker, line by line."""
    return [
        ("namespace", printable(namespace)),
        ("name", printable(snapshot.name)),
        ("state", state_words(snapshot)),
        ("next", next_words(snapshot)),
        ("failures", str(snapshot.failure_count)),
        ("probes passed", str(snapshot.success_count)),
        ("last failure", last_failure_words(snapshot)),
        ("generation", str(snapshot.generation)),
    ]
