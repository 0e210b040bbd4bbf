"""The ``cbstore`` command.

======================  ========================================================================
`status`, `watch`       ``cbstore status``, and with ``--watch``
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
`names`                 finds the breaker that a subcommand names
`describe`              a breaker as a JSON object
`web_server`            serves the panel in a thread
`table`, `style`        the table of breakers, and the words and colours in it
======================  ========================================================================

The command uses argparse, which comes with Python, so that an installation without extras can migrate its database.
Each subcommand is a module of this package with a function ``register(subparsers)``. It adds the parser of the
subcommand and sets ``run``, a function from the parsed arguments to the exit code. ``run`` imports what only its
subcommand needs.
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
    # argparse keeps the class generic for type checkers alone.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["main"]

# In the order of the help: look, change, set up, watch, learn.
_COMMANDS = (
    *("status", "show", "explain"),
    *("open", "close", "lock", "unlock", "prune"),
    *("migrate", "grants", "doctor"),
    *("exporter", "panel", "replay"),
    *("demo",),
)

# Python has these words for itself.
_MODULES = {"open": "force_open", "close": "reset"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments after the program's name; ``None`` takes them from the process.

    Returns:
        The exit code; see `cbstore_sql.cli.exit_codes`. The library's own errors become one line on stderr.
    """
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.READER_GONE
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def say(text: str) -> None:
    """Write one line to stdout."""
    encoding = sys.stdout.encoding or "utf-8"
    # A terminal or pipe without UTF-8 shows an escape for what it cannot write.
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


def add_command(
    subparsers: Subparsers, name: str, summary: str, *, examples: Sequence[str], details: str = ""
) -> argparse.ArgumentParser:
    """Add the parser of one subcommand.

    Args:
        subparsers: Those of ``cbstore``.
        name: The subcommand.
        summary: One line, for the list of all subcommands.
        examples: Command lines that its ``--help`` shows.
        details: What else its ``--help`` says, below the summary.
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
        sys.stderr.write(f"cbstore: {error}\n")
        return _exit_code(error)
    return code


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
