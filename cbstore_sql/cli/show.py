"""``cbstore show NAME``: show every stored value of one breaker and its last changes."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, add_name
from cbstore_sql.cli.describe import describe, describe_change
from cbstore_sql.cli.names import find
from cbstore_sql.cli.stores import with_store
from cbstore_sql.cli.style import failure_words, last_failure_words, next_words, override_words, state_words
from cbstore_sql.core.explanation import CAUSE_WORDS
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.wording import moment, printable

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore show``, which prints the stored values and the history of one breaker.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
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
    """Print the stored values of one breaker and its last changes. With ``--json``, print them as one JSON object.

    Args:
        arguments: The parsed arguments of ``cbstore show``.

    Returns:
        The exit code 0.

    Raises:
        RefusedError: The breaker does not exist.
        StoreError: The database cannot be read.
    """
    snapshot = find(arguments)
    history = with_store(arguments, lambda store: store.history(arguments.name))
    if arguments.json:
        changes = [describe_change(change) for change in history]
        say(json.dumps({**describe(arguments.namespace, snapshot), "history": changes}, indent=2))
        return exit_codes.OK
    for label, text in fields(arguments.namespace, snapshot):
        say(f"{label:<13} {text}")
    for number, change in enumerate(reversed(history)):
        say(f"{'' if number else 'history':<13} {change_words(change)}")
    return exit_codes.OK


def fields(namespace: str, snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the lines that ``cbstore show`` prints about one breaker, each as a pair of a label and a text.

    Args:
        namespace: The breaker's namespace.
        snapshot: The breaker's state.
    """
    return [
        ("namespace", printable(namespace)),
        ("name", printable(snapshot.name)),
        ("state", state_words(snapshot)),
        ("override", override_words(snapshot)),
        *_reason(snapshot),
        ("next", next_words(snapshot)),
        ("failures", failure_words(snapshot)),
        ("probes passed", str(snapshot.success_count)),
        ("last failure", last_failure_words(snapshot)),
        ("generation", str(snapshot.generation)),
    ]


def change_words(change: HistoryEntry) -> str:
    """Return the line that ``cbstore show`` prints about one entry of the breaker's history.

    The line contains the time in the local time zone, both states, the cause and the person who made the change.

    Args:
        change: The entry: one past change of the breaker's state.
    """
    time = moment(change.at)
    when = time.astimezone().isoformat(sep=" ", timespec="seconds") if time else "never"
    before, after = change.previous_state.value, change.state.value
    states = after if before == after else f"{before} -> {after}"
    by = f" (by {printable(change.by)})" if change.by else ""
    return f"{when}  {states:<22} {CAUSE_WORDS[change.cause]}{by}"


def _reason(snapshot: Snapshot) -> list[tuple[str, str]]:
    if not snapshot.active_override:
        return []
    return [("set by", printable(snapshot.override_by)), ("reason", printable(snapshot.override_reason))]
