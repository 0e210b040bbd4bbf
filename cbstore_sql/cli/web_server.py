"""A small web server that serves the panel in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from cbstore_sql.errors import ConfigurationError


class _Server(ThreadingMixIn, WSGIServer):
    """A WSGI server with one thread for each connection, because an open tab keeps a connection open."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        # The method of the base class also looks up the name of the address, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error of one connection: a user who closes a tab causes no error message."""


class _RequestHandler(WSGIRequestHandler):
    timeout = 60

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write no log, because other texts use the terminal."""


@contextmanager
def serving(application: Any, host: str, port: int) -> Iterator[str]:
    """Serve a WSGI application in a thread until the block ends.

    Args:
        application: The WSGI application.
        host: The address on which the server listens.
        port: The port on which the server listens. 0 means that the system chooses a free port.

    Yields:
        The URL of the application.

    Raises:
        ConfigurationError: The server cannot listen on the address or the port.
    """

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        server = Server((host, port), _RequestHandler)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    server.set_app(application)
    threading.Thread(target=server.serve_forever, args=(0.2,), name="cbstore-panel-server", daemon=True).start()
    address = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{address}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
