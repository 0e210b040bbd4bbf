"""``cbstore panel``: the web panel, served from this machine."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database, operator
from cbstore_sql.cli.arguments import port as port_number
from cbstore_sql.cli.stores import open_store
from cbstore_sql.errors import ConfigurationError

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers

_TOKEN = "CBSTORE_PANEL_TOKEN"  # noqa: S105 # the name of a variable
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore panel``."""
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
    """Run ``cbstore panel``; SIGTERM and SIGINT end it.

    Raises:
        ConfigurationError: An argument cannot be used, or the address needs a token.
        SchemaError: There is no such SQLite file.
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


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection: an open tab keeps one."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        # Without the reverse look-up of the address, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a tab that was closed is not an error."""


class _RequestHandler(WSGIRequestHandler):
    timeout = 60

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the terminal free."""


def _serve(application: Any, host: str, port: int) -> None:
    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        server = Server((host, port), _RequestHandler)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    server.set_app(application)
    threading.Thread(target=server.serve_forever, args=(0.2,), name="cbstore-panel-server", daemon=True).start()
    address = f"[{host}]" if ":" in host else host
    say(f"panel on http://{address}:{server.server_port}/")
    sys.stdout.flush()
    ended.wait()
    server.shutdown()
    server.server_close()
