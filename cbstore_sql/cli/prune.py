"""``cbstore prune``: forget breakers that have long been idle."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_schema_argument, add_url_argument, say

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"([0-9]{1,6})([hdw])", re.ASCII)


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("prune", help="forget breakers that have long been idle")
    add_url_argument(parser)
    add_schema_argument(parser)
    parser.add_argument(
        "--idle-for",
        type=_duration,
        required=True,
        metavar="TIME",
        help="no failure, open time or probe for this long: 30d, 36h or 2w; at least 1h",
    )
    parser.add_argument("--namespace", help="only the breakers of this namespace (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="only say how many there are")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the subcommand.

    Raises:
        ConfigurationError: The URL or an argument cannot be used.
        StoreError: The table is missing, or the database cannot be reached or refuses.
    """
    from cbstore_sql.cli.database import existing, schema_of
    from cbstore_sql.stores.sql.prune import prune

    count = prune(
        existing(arguments.url),
        idle_for=arguments.idle_for,
        namespace=arguments.namespace,
        schema=schema_of(arguments.schema),
        dry_run=arguments.dry_run,
    )
    say(f"{count} idle breakers {'would be ' if arguments.dry_run else ''}forgotten")
    return 0


def _duration(text: str) -> float:
    parts = _DURATION.fullmatch(text)
    if parts is None:
        raise argparse.ArgumentTypeError("a time is a whole number and h, d or w, such as 30d")
    return int(parts[1]) * _SECONDS[parts[2]]
