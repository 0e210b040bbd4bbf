"""The options that several subcommands share."""

from __future__ import annotations

import argparse
import getpass
import logging
import socket

from cbstore_sql.core.wording import parse_duration, printable
from cbstore_sql.runtime.environment import DEFAULT_URL, namespace_name

log = logging.getLogger("cbstore_sql.audit")

DEFAULT_TIMEOUT = 10.0
"""Seconds that a subcommand waits for the database if the user does not give ``--timeout``."""

_LARGEST_PORT = 65535


def add_database(parser: argparse.ArgumentParser, *, timeout: float = DEFAULT_TIMEOUT, redis: bool = True) -> None:
    """Add the options ``--url``, ``--schema`` and ``--timeout`` to the parser of a subcommand.

    Args:
        parser: The parser of the subcommand.
        timeout: The default of ``--timeout``, in seconds.
        redis: Whether the help mentions Redis URLs. ``False`` is for subcommands that work only on SQL databases.
    """
    kinds = "postgresql://…, sqlite:///file" + (", redis://…" if redis else "")
    parser.add_argument(
        "--url",
        help=f"database: {kinds} (default: $CBSTORE_URL, then {DEFAULT_URL})",
    )
    add_schema(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=timeout,
        metavar="TIME",
        help=f"give up after this long, such as 5s or 1m (default: {timeout:g}s)",
    )


def add_schema(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--schema`` to the parser of a subcommand.

    If the user does not give the option, the value is ``None``.

    Args:
        parser: The parser of the subcommand.
    """
    parser.add_argument("--schema", help="PostgreSQL schema of the table (default: $CBSTORE_SCHEMA, then cbstore)")


def add_name(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``NAME`` and the option ``--namespace`` to a parser. Together they identify one breaker.

    Args:
        parser: The parser of the subcommand.
    """
    parser.add_argument("name", metavar="NAME", help="the breaker")
    parser.add_argument(
        "--namespace",
        default=namespace_name("default"),
        help="the breaker's namespace (default: $CBSTORE_NAMESPACE, then default)",
    )


def add_action(parser: argparse.ArgumentParser) -> None:
    """Add the options ``--reason`` and ``--by`` to a parser. They state why a user changes a breaker, and which user.

    Args:
        parser: The parser of the subcommand.
    """
    parser.add_argument("--reason", required=True, help="why, for the next person who looks")
    parser.add_argument("--by", default=operator(), help="who does it (default: %(default)s)")


def log_action(arguments: argparse.Namespace) -> None:
    """Write a change of a breaker to the logger ``cbstore_sql.audit``.

    Args:
        arguments: The parsed arguments of the subcommand that made the change, with ``command``, ``name``,
            ``namespace``, ``by`` and ``reason``.
    """
    log.info(
        "%s: breaker %s in namespace %s, by %s: %s",
        arguments.command,
        *map(printable, (arguments.name, arguments.namespace, arguments.by, arguments.reason or "no reason given")),
    )


def operator() -> str:
    """Return the name of the user who runs this process, as ``user@host``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # in a container, the user may have no entry in /etc/passwd
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def seconds(text: str) -> float:
    """Convert the text of a duration option, such as ``10m``, to seconds.

    Args:
        text: The text that the user gave.

    Raises:
        argparse.ArgumentTypeError: The text is not a duration, or the duration is 0.
    """
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not value:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def port(text: str) -> int:
    """Convert the text of a port option to a number. Port 0 means that the system chooses a free port.

    Args:
        text: The text that the user gave.

    Raises:
        argparse.ArgumentTypeError: The text is not a number from 0 to 65535.
    """
    if not text.isdecimal() or int(text) > _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is between 0 and {_LARGEST_PORT}")
    return int(text)
