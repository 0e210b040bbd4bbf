"""``cbstore demo``: processes share one breaker while the service they call fails and recovers.

=============  =====================================================
`runner`       sets up one run, runs it, checks it and prints the summary
`scenario`     the course: a service works, fails and recovers
`timing`       how long each act takes, and how long the checks wait
`service`      the HTTP server that fails on command
`worker`       a process that calls the service behind the breaker
`processes`    starts, reads and ends the child processes
`records`      the messages between the processes
`run_state`    the state of the demo while it runs
`checks`       the checks at the end
`live`         the view for a terminal
`plain`        the view as lines of text
`timeline`     the two rows that show the course of the demo
`wording`      texts that both views use
`database`     sets up the database and cleans up
`signals`      Ctrl-C and SIGTERM
=============  =====================================================
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cbstore_sql.cli import add_command
from cbstore_sql.cli.arguments import add_schema

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

NumberT = TypeVar("NumberT", int, float)


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore demo``, which shows how processes share one breaker.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "demo",
        "watch processes share one breaker while a service fails and recovers",
        details="At the end it prints what it leaves behind: nothing, or the breaker table if it had to create it.",
        examples=(
            "cbstore demo",
            "cbstore demo --panel --seconds 60",
            "cbstore demo --workers 12 --seconds 30",
            "cbstore demo --url postgresql://app@db/app",
        ),
    )
    add = parser.add_argument
    add("--workers", type=_between(int, 1, 50), default=6, help="worker processes, 1 to 50 (default: 6)")
    add(
        "--seconds",
        type=_between(float, 3, 120),
        default=12.0,
        help="duration of the run, roughly, 3 to 120 (default: 12)",
    )
    add("--url", help="postgresql://… or sqlite:///file (default: a SQLite file that is deleted at the end)")
    add_schema(parser)
    add("--panel", action="store_true", help="also serve the web panel of the run on this machine, until it ends")
    add("--plain", action="store_true", help="print lines of text even on a terminal")
    add(
        "--patience",
        type=_between(float, 0, 60),
        default=3.0,
        help="seconds by which a step may be late before its check fails (default: 3)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start a service and worker processes, show how they share one breaker, check the result and print a summary.

    Args:
        arguments: The parsed arguments of ``cbstore demo``.

    Returns:
        The exit code: 0 if every check passed, 1 if a check failed or the demo was aborted. If a signal ended the demo,
        128 plus the number of the signal.

    Raises:
        CircuitBreakerError: The database cannot be used.
    """
    from cbstore_sql.cli.demo.runner import run_demo

    return run_demo(arguments)


def _between(kind: Callable[[str], NumberT], low: NumberT, high: NumberT) -> Callable[[str], NumberT]:
    def number(text: str) -> NumberT:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be from {low} to {high}")
        return value

    return number
