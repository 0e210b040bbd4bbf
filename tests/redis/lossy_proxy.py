"""A proxy before a real server that, when told to, loses the reply to one command the server has carried out."""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

BUFFER = 65536


class LossyProxy:
    """Passes everything through until `lose_reply_to` is set.

    Attributes:
        url: The server's URL, with the proxy in its place.
        lose_reply_to: The reply to the next request that has one of these words is read and thrown away, and the
            connection is closed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        credentials, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{credentials}{at}127.0.0.1:{port}").geturl()
        self.lose_reply_to: tuple[bytes, ...] = ()

    def __enter__(self) -> LossyProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # Closing alone would not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while self._pass_on(ready, client, server):
                pass

    def _pass_on(self, ready: selectors.BaseSelector, client: socket.socket, server: socket.socket) -> bool:
        for found, _ in ready.select():
            source: socket.socket = found.fileobj  # type: ignore[assignment] # only sockets are registered
            data = source.recv(BUFFER)
            if not data:
                return False
            found.data.sendall(data)
            if source is client and any(word in data for word in self.lose_reply_to):
                self.lose_reply_to = ()
                server.recv(BUFFER)
                return False
        return True
