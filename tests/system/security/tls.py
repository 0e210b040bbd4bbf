"""Servers with TLS whose certificates the tests make."""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from tests.servers import wheels

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
"""Of a PostgreSQL that can speak TLS, where Debian keeps it; the wheel's cannot."""

_CHUNK = 65536
_SSL_REQUEST, _GSS_REQUEST = struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104)


@contextlib.contextmanager
def terminated(url: str, certificate: trustme.LeafCert) -> Iterator[str]:
    """Run a TLS proxy in front of a server without TLS, and yield the URL of the proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    parts = urlsplit(url)
    server = (str(parts.hostname), int(parts.port or 0))
    asks_first = parts.scheme.startswith("postgresql")
    with socket.create_server((wheels.LOOPBACK, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, server, context, asks_first), daemon=True).start()
        # The server may be a container with another address.
        yield url.replace(f"@{parts.hostname}:{parts.port}/", f"@{wheels.LOOPBACK}:{listener.getsockname()[1]}/")
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: tuple[str, int], context: ssl.SSLContext, asks_first: bool) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, server, context, asks_first), daemon=True).start()


def _serve(client: socket.socket, server: tuple[str, int], context: ssl.SSLContext, asks_first: bool) -> None:
    # A client that does not trust the certificate disconnects here.
    with contextlib.suppress(OSError), client, socket.create_connection(server) as upstream:
        if asks_first:
            while (request := client.recv(8, socket.MSG_WAITALL)) == _GSS_REQUEST:
                client.sendall(b"N")
            if request != _SSL_REQUEST:
                return
            client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as encrypted:
            _relay(encrypted, upstream)


def _relay(encrypted: ssl.SSLSocket, upstream: socket.socket) -> None:
    other: dict[socket.socket, socket.socket] = {encrypted: upstream, upstream: encrypted}
    with selectors.DefaultSelector() as selector:
        for side in other:
            selector.register(side, selectors.EVENT_READ, side)
        while True:
            sides = [encrypted] if encrypted.pending() else [key.data for key, _ in selector.select()]
            for side in sides:
                if not (data := side.recv(_CHUNK)):
                    return
                other[side].sendall(data)


@contextlib.contextmanager
def postgres(binaries: Path, certificate: trustme.LeafCert) -> Iterator[str]:
    """Run a PostgreSQL with TLS, and yield the URL of its superuser."""
    password = secrets.token_hex(16)

    def prepare(directory: Path, port: int) -> list[str]:
        wheels._initdb(binaries, directory, password)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
        (directory / "server.pem").chmod(0o600)
        wheels._hand_over(directory / "server.pem")
        files = {"ssl_cert_file": directory / "server.pem", "ssl_key_file": directory / "server.pem"}
        settings = {"listen_addresses": wheels.LOOPBACK, "port": port, "unix_socket_directories": "", "ssl": "on"}
        options = [part for name, value in {**settings, **files}.items() for part in ("-c", f"{name}={value}")]
        return [str(binaries / "postgres"), "-D", str(directory / "data"), *options]

    def is_ready(directory: Path) -> bool:
        pid_file = directory / "data/postmaster.pid"
        return pid_file.exists() and "ready" in pid_file.read_text()

    with wheels._running("PostgreSQL with TLS", prepare, is_ready) as port:
        yield f"postgresql+psycopg://postgres:{password}@{wheels.LOOPBACK}:{port}/postgres"
