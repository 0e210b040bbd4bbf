"""Counts the round trips of clients that it stands before."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import make_url

_CHUNK = 65536


class Counter:
    """How often any client has spoken for the first time or after its server had answered."""

    def __init__(self) -> None:
        self.round_trips = 0


@contextmanager
def counting(url: str) -> Iterator[tuple[str, Counter]]:
    """Stand before the server of a URL for the length of the block.

    Yields:
        The address to reach it by, ``host:port``, and the counter.
    """
    server = make_url(url)
    address = (str(server.host), int(server.port or 0))
    counter = Counter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, address, counter), daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", counter
        # Closing it would leave the thread waiting.
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, address: tuple[str, int], counter: Counter) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(address)
            threading.Thread(target=_relay, args=(client, server, counter), daemon=True).start()


def _relay(client: socket.socket, server: socket.socket, counter: Counter) -> None:
    """Hand over what either side says, until one has gone."""
    asking = False
    with client, server, suppress(OSError):
        while True:
            for speaker in select.select([client, server], [], [])[0]:
                said = speaker.recv(_CHUNK)
                if not said:
                    return
                counter.round_trips += speaker is client and not asking
                asking = speaker is client
                (server if asking else client).sendall(said)
