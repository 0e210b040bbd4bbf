"""``cbstore panel``: serve the web panel from this machine."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, operator
from cbstore_sql.cli.arguments import port as port_number
from cbstore_sql.cli.stores import open_store
from cbstore_sql.cli.web_server import serving
from cbstore_sql.errors import ConfigurationError

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

_TOKEN = "CBSTORE_PANEL_TOKEN"  # noqa: S105 # the name of a variable
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore panel``, which serves a web panel of all breakers.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "panel",
        "serve a web panel of all breakers",
        details=(
            "It listens on this machine only and changes nothing, unless told otherwise. For another address it needs\n"
            f"a token, 16 characters or more, in {_TOKEN}; put a proxy with TLS in front."
        ),
        examples=(
            "cbstore panel",
            "cbstore panel --actions",
            f"{_TOKEN}=$(openssl rand -hex 16) cbstore panel --host 0.0.0.0 --origin https://ops.example.com",
        ),
    )
    add_database(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=9465, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--actions", action="store_true", help="allow opening, closing and locking breakers")
    parser.add_argument("--by", default=operator(), help="who acts, for the history (default: %(default)s)")
    parser.add_argument(
        "--origin", action="append", default=[], help="the panel's own origin, where a proxy changes the Host header"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the web panel until SIGTERM or SIGINT arrives, and print the URL of the panel.

    Args:
        arguments: The parsed arguments of ``cbstore panel``.

    Returns:
        The exit code 0.

    Raises:
        ConfigurationError: An argument cannot be used, the server cannot listen on the address or the port, or
            ``--host`` is not a loopback address and the environment has no token.
        SchemaError: The SQLite file does not exist.
    """
    from cbstore_sql.panel import panel_wsgi

    token = os.environ.get(_TOKEN) or None
    if token is None and arguments.host not in _LOOPBACK:
        raise ConfigurationError(f"to listen on {arguments.host}, set {_TOKEN} to a secret of 16 characters or more")
    with open_store(arguments) as store:
        application = panel_wsgi(
            store,
            actions=arguments.actions,
            token=token,
            who=arguments.by,
            origins=arguments.origin,
            events=True,
        )
        _serve(application, arguments.host, arguments.port)
    return exit_codes.OK


def _serve(application: Any, host: str, port: int) -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with serving(application, host, port) as url:
        say(f"panel on {url}")
        sys.stdout.flush()
        ended.wait()
