"""``cbstore status``: the breakers of a database."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cbstore_sql.cli import add_schema_argument, add_url_argument, say
from cbstore_sql.cli.style import moment
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.errors import ConfigurationError

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

Breakers = Sequence[tuple[str, Snapshot]]

_ORDER = (State.OPEN, State.HALF_OPEN, State.CLOSED)


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("status", help="show the breakers of a database, open ones first")
    add_url_argument(parser)
    add_schema_argument(parser)
    parser.add_argument("--namespace", help="only the breakers of this namespace (default: all)")
    parser.add_argument("--json", action="store_true", help="a list of objects; times are ISO 8601 in UTC")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the subcommand.

    Raises:
        ConfigurationError: The URL cannot be used, or rich is missing for a table.
        StoreError: The table is missing, or the database cannot be read.
    """
    if arguments.json:
        breakers = _read(arguments)
        say(json.dumps([describe(namespace, snapshot) for namespace, snapshot in breakers], indent=2))
        return 0
    try:
        from cbstore_sql.cli.table import show
    except ImportError:
        raise ConfigurationError("the table needs rich: pip install 'cbstore_sql[cli]'; --json does not") from None
    breakers = _read(arguments)
    if breakers:
        show(breakers)
    else:
        say("no breakers (one that never failed is not in the table)")
    return 0


def describe(namespace: str, snapshot: Snapshot) -> dict[str, Any]:
    """Make the JSON object of one breaker; what does not apply to it is ``None``."""
    return {
        "namespace": namespace,
        "name": snapshot.name,
        "state": snapshot.state.value,
        "generation": snapshot.generation,
        "failure_count": snapshot.failure_count,
        "success_count": snapshot.success_count,
        "last_failure_time": _iso(snapshot.last_failure_time),
        "open_until": _iso(snapshot.open_until),
        "open_seconds": snapshot.open_seconds,
        "retry_after": snapshot.retry_after,
        "probe_token": snapshot.probe_token or None,
        "probe_until": _iso(snapshot.probe_until),
        "as_of": _iso(snapshot.as_of),
    }


def _iso(seconds: float) -> str | None:
    time = moment(seconds)
    return time.isoformat() if time else None


def _read(arguments: argparse.Namespace) -> Breakers:
    from cbstore_sql.cli.database import open_store

    with open_store(arguments.url, arguments.schema) as store:
        breakers = [pair for pair in store.read_all() if arguments.namespace in (None, pair[0])]
    return sorted(breakers, key=lambda pair: (_ORDER.index(pair[1].state), pair[0], pair[1].name))
