"""The ``cbstore`` command.

======================  ========================================================================
`status`, `watch`       ``cbstore status``, ``cbstore status --watch``
`show`, `explain`       ``cbstore show NAME``, ``cbstore explain NAME``
`force_open`, `reset`   ``cbstore open NAME``, ``cbstore close NAME``
`lock`, `unlock`        ``cbstore lock NAME MODE``, ``cbstore unlock NAME``
`prune`, `migrate`      ``cbstore prune``, ``cbstore migrate``
`grants`, `doctor`      ``cbstore grants``, ``cbstore doctor``
`exporter`, `panel`     ``cbstore exporter``, ``cbstore panel``
`replay`                ``cbstore replay LOG``
`demo`                  ``cbstore demo``
`arguments`             the options that several subcommands share
`exit_codes`            the exit codes, and the error that carries one
`stores`                opens the store that ``--url`` names, with a deadline
`names`                 finds the breaker whose name the user gave
`describe`              a breaker as a JSON object
`web_server`            a small web server that serves the panel in a thread
`table`, `style`        the table of breakers, and its words and colours
======================  ========================================================================

The command uses argparse, which comes with Python, so that an installation without extras can migrate its database.
Each subcommand is a module of this package with a function ``register(subparsers)``. ``register`` adds the parser of
the subcommand and sets ``run``, a function from the parsed arguments to the exit code. ``run`` imports the modules that
only this subcommand needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from cbstore_sql import __version__
from cbstore_sql.cli import exit_codes
from cbstore_sql.errors import CircuitBreakerError, ConfigurationError, StoreError

if TYPE_CHECKING:
    # The class of argparse is generic for type checkers only.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["main"]

# The subcommands in the order of the help: read, change, set up, observe, learn.
_COMMANDS = (
    *("status", "show", "explain"),
    *("open", "close", "lock", "unlock", "prune"),
    *("migrate", "grants", "doctor"),
    *("exporter", "panel", "replay"),
    *("demo",),
)

# Subcommands whose module has another name, because `open` is a built-in function of Python.
_MODULES = {"open": "force_open", "close": "reset"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``cbstore`` command and return its exit code. An error of the library becomes one line on stderr.

    Args:
        argv: The arguments after the program's name. ``None`` means the arguments of this process.

    Returns:
        The exit code; see `cbstore_sql.cli.exit_codes`.
    """
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout again at exit, so stdout must lead to a place that accepts writes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.READER_GONE
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def say(text: str) -> None:
    """Write one line to stdout.

    Args:
        text: The line without a line break at its end.
    """
    encoding = sys.stdout.encoding or "utf-8"
    # An output without UTF-8 shows an escape sequence for each character that the encoding lacks.
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


def add_command(
    subparsers: Subparsers, name: str, summary: str, *, examples: Sequence[str], details: str = ""
) -> argparse.ArgumentParser:
    """Add the parser of one subcommand.

    Args:
        subparsers: The subparsers of ``cbstore``.
        name: The name of the subcommand.
        summary: One line for the list of all subcommands, without a capital and without a full stop.
        examples: Command lines for the end of the subcommand's ``--help``.
        details: More text for ``--help``, below the summary. ``""`` means no more text.

    Returns:
        The new parser.
    """
    shown = "\n".join(f"  {example}" for example in examples)
    description = f"{summary[:1].upper()}{summary[1:]}."
    return subparsers.add_parser(
        name,
        help=summary,
        description=f"{description}\n\n{details}" if details else description,
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except CircuitBreakerError as error:
        sys.stderr.write(f"cbstore: {error}{_database_of(error, arguments)}\n")
        return _exit_code(error)
    return code


def _database_of(error: CircuitBreakerError, arguments: argparse.Namespace) -> str:
    """Return which database an error of the store is about, in brackets. Nothing for other errors and databases."""
    if not isinstance(error, StoreError) or "url" not in arguments:
        return ""
    from cbstore_sql.cli.stores import place_of, url_of

    place = place_of(url_of(arguments))
    return f" ({place})" if place else ""


def _exit_code(error: CircuitBreakerError) -> int:
    if isinstance(error, exit_codes.RefusedError):
        return exit_codes.REFUSED
    if isinstance(error, StoreError):
        return exit_codes.DATABASE
    return exit_codes.USAGE if isinstance(error, ConfigurationError) else exit_codes.FOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cbstore",
        description="See and steer circuit breakers that are shared through a database.",
        epilog=f"The database comes from --url or CBSTORE_URL.\n\n{exit_codes.HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cbstore {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in _COMMANDS:
        import_module(f"{__name__}.{_MODULES.get(name, name)}").register(subparsers)
    return parser
