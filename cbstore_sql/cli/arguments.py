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
"""Seconds that a command gives the database, unless ``--timeout`` says otherwise."""

_LARGEST_PORT = 65535


def add_database(parser: argparse.ArgumentParser, *, timeout: float = DEFAULT_TIMEOUT, redis: bool = True) -> None:
    """Give a subcommand ``--url``, ``--schema`` and ``--timeout``.

    Args:
        parser: The subcommand's.
        timeout: The default of ``--timeout``, seconds.
        redis: Whether the subcommand works on Redis too.
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
    """Give a subcommand ``--schema``; ``None`` where it is not given."""
    parser.add_argument("--schema", help="PostgreSQL schema of the table (default: $CBSTORE_SCHEMA, then cbstore)")


def add_name(parser: argparse.ArgumentParser) -> None:
    """Give a subcommand the name of one breaker and its namespace."""
    parser.add_argument("name", metavar="NAME", help="the breaker")
    parser.add_argument(
        "--namespace",
        default=namespace_name("default"),
        help="the breaker's namespace (default: $CBSTORE_NAMESPACE, then default)",
    )


def add_action(parser: argparse.ArgumentParser) -> None:
    """Give a subcommand the reason for a change and who makes it."""
    parser.add_argument("--reason", required=True, help="why, for the next person who looks")
    parser.add_argument("--by", default=operator(), help="who does it (default: %(default)s)")


def log_action(arguments: argparse.Namespace) -> None:
    """Log who did what to which breaker and why, to the logger ``cbstore_sql.audit``, as the panel does."""
    log.info(
        "%s: breaker %s in namespace %s, by %s: %s",
        arguments.command,
        *map(printable, (arguments.name, arguments.namespace, arguments.by, arguments.reason or "no reason given")),
    )


def operator() -> str:
    """Return who runs this process: ``user@host``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without an entry in /etc/passwd
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def seconds(text: str) -> float:
    """Read a duration option, such as ``10m``.

    Raises:
        argparse.ArgumentTypeError: The text is not a duration.
    """
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not value:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def port(text: str) -> int:
    """Read a port number; 0 takes a free one.

    Raises:
        argparse.ArgumentTypeError: The text is not a port number.
    """
    if not text.isdecimal() or int(text) > _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is between 0 and {_LARGEST_PORT}")
    return int(text)
