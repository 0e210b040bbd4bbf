"""Tests of the modes of the proxy."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.system.faults.proxy import FaultProxy


class Echo(socketserver.ThreadingTCPServer):
    """A server that sends back what it receives, and records it."""

    daemon_threads = True
    heard = b""


class Answer(socketserver.BaseRequestHandler):
    """Serves one client."""

    server: Echo

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(100):
                self.server.heard += data
                self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(f"tcp://127.0.0.1:{echo.server_address[1]}") as proxy:
        yield proxy


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 5)


def ask(client: socket.socket, word: bytes = b"hello") -> bytes:
    client.sendall(word)
    return client.recv(100)


def is_silent(client: socket.socket) -> bool:
    return not select.select([client], [], [], 0.1)[0]


def test_url_replaces_host_and_port_in_any_url(proxy: FaultProxy) -> None:
    assert proxy.url("postgresql+psycopg://me:p%40ss@host:1/db?a=b") == (
        f"postgresql+psycopg://me:p%40ss@127.0.0.1:{proxy.port}/db?a=b"
    )


def test_the_proxy_passes_data_and_counts_round_trips_and_connections(proxy: FaultProxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        assert [ask(first, b"a"), ask(first, b"b"), ask(second, b"c")] == [b"a", b"b", b"c"]
        assert (proxy.round_trips, proxy.connections, proxy.accepted) == (3, 2, 2)
        proxy.cut()
        assert proxy.connections == 0


def test_a_delay_ends_with_its_mode(proxy: FaultProxy) -> None:
    proxy.switch("delay", 60)
    with connect(proxy) as client:
        client.sendall(b"hello")
        assert is_silent(client)
        proxy.switch("pass")
        assert client.recv(100) == b"hello"


def test_data_and_connection_are_lost_after_the_mode_hole(proxy: FaultProxy, echo: Echo) -> None:
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        proxy.switch("hole")
        client.sendall(b"x" * 1_000_000)
        assert is_silent(client)
        proxy.switch("pass")
        client.sendall(b"two")
        assert is_silent(client)
    with connect(proxy) as client:
        assert ask(client) == b"hello"
    assert b"two" not in echo.heard


def test_the_mode_hole_accepts_connections_and_does_not_pass_on_their_end(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        assert ask(client) == b"hello"
        proxy.switch("hole")
    with connect(proxy) as late:
        late.sendall(b"hello")
        assert is_silent(late)
        assert proxy.connections == 2
        proxy.cut()
    assert proxy.connections == 0


def test_the_mode_eat_passes_requests_and_swallows_replies(proxy: FaultProxy, echo: Echo) -> None:
    proxy.switch("eat")
    with connect(proxy) as client:
        client.sendall(b"hello")
        assert is_silent(client)
        assert echo.heard == b"hello"


def test_the_mode_reset_resets_open_and_new_connections(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        assert ask(client) == b"hello"
        proxy.switch("reset")
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    with pytest.raises(ConnectionError), connect(proxy) as late:
        ask(late)


def test_clients_can_connect_to_the_same_port_after_the_mode_refuse(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        assert ask(client) == b"hello"
        proxy.switch("refuse")
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert ask(client) == b"hello"
        proxy.switch("pass")
        with connect(proxy) as late:
            assert ask(late) == b"hello"


def test_lose_reply_to_loses_one_reply(proxy: FaultProxy, echo: Echo) -> None:
    with connect(proxy) as client:
        proxy.lose_reply_to(b"boo", b"two")
        assert ask(client, b"one") == b"one"
        with pytest.raises(ConnectionResetError):
            ask(client, b"two")
        assert echo.heard == b"onetwo"
    with connect(proxy) as client:
        assert ask(client, b"two") == b"two"


def test_a_missing_server_resets_the_client(proxy: FaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"tcp://127.0.0.1:{gone.getsockname()[1]}"
    with FaultProxy(url) as before_nobody, connect(before_nobody) as client, pytest.raises(ConnectionResetError):
        ask(client)
