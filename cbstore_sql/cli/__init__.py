"""The ``cbstore`` command.

It is built on argparse, which comes with Python, so that an install without extras can migrate its database. Each
subcommand is a module of this package with a function ``register(subparsers)``, which adds its parser and sets
``run``, a function from the parsed arguments to the exit code. What only one subcommand needs is imported in its
``run``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from cbstore_sql import __version__
from cbstore_sql.errors import CircuitBreakerError
from cbstore_sql.runtime.environment import DEFAULT_URL, database_url

if TYPE_CHECKING:
    # argparse keeps the class generic for type checkers alone.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["main"]

_COMMANDS = ("demo", "exporter", "grants", "migrate", "prune", "status")

# As a shell says of a process that SIGPIPE ended.
_READER_GONE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments after the program's name; ``None`` takes them from the process.

    Returns:
        The exit code: 0 for success, 2 for bad usage and for the library's own errors, which become one line on
        stderr, 141 when whoever read stdout has gone, as in ``cbstore status | head -1``.
    """
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python writes what is left once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE


def say(text: str) -> None:
    """Write one line to stdout."""
    sys.stdout.write(f"{text}\n")


def add_url_argument(parser: argparse.ArgumentParser) -> None:
    """Give a subcommand ``--url``: the database, else ``CBSTORE_URL``, else a SQLite file."""
    parser.add_argument(
        "--url",
        default=database_url(),
        help=f"database, postgresql://… or sqlite:///file (default: $CBSTORE_URL, then {DEFAULT_URL})",
    )


def add_schema_argument(parser: argparse.ArgumentParser) -> None:
    """Give a subcommand ``--schema``: that of the table, ``None`` where it is not given."""
    parser.add_argument("--schema", help="PostgreSQL schema of the table (default: $CBSTORE_SCHEMA, then cbstore)")


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except CircuitBreakerError as error:
        sys.stderr.write(f"cbstore: {error}\n")
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cbstore", description="Circuit breakers shared through a database.")
    parser.add_argument("--version", action="version", version=f"cbstore {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in _COMMANDS:
        import_module(f"{__name__}.{name}").register(subparsers)
    return parser
