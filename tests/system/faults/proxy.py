"""A TCP proxy in front of a real server. A test can change how it treats bytes while clients are connected."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

Mode = Literal["pass", "delay", "hole", "eat", "reset", "refuse"]

_CHUNK = 65536
_CLOSE_SECONDS = 10.0
# Closing a socket that lingers for no time sends RST in place of FIN.
_RST = struct.pack("ii", 1, 0)


class FaultProxy:
    """A proxy in front of the server of a URL, as a context manager. Every method may be called from any thread.

    The modes:

    - ``"pass"``: bytes go both ways.
    - ``"delay"``: every request is held back for some seconds first.
    - ``"hole"``: both sides are read, so that what they send is acknowledged, and nothing is forwarded, the end of a
      connection included. New connections are accepted.
    - ``"eat"``: requests are forwarded, replies are lost.
    - ``"reset"``: every connection is reset, also each new one.
    - ``"refuse"``: new connections are refused; existing ones live on.

    A connection that has lost bytes would be garbled by the bytes that follow, so it stays a hole after a switch.

    Attributes:
        accepted: How many connections there have been.
        round_trips: How often the server has answered a client that had spoken since the answer before.
    """

    def __init__(self, url: str) -> None:
        """Listen on a free port of the loopback interface.

        Args:
            url: Any URL with the host and the port of the server.
        """
        parts = urlsplit(url)
        self.server = (parts.hostname or "", parts.port or 0)
        self.accepted = 0
        self.round_trips = 0
        self._changed = threading.Condition()
        self._mode: Mode = "pass"
        self._seconds = 0.0
        self._doomed_words: tuple[bytes, ...] = ()
        self._relays: set[_Relay] = set()
        # This socket is bound but never listens, so the port stays reserved while connections are refused.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        self._listener: socket.socket | None = None
        self._listen()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def url(self, base_url: str) -> str:
        """Return the URL with the host and the port of the proxy."""
        parts = urlsplit(base_url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}{self.address}").geturl()

    @property
    def address(self) -> str:
        """The address of the proxy, as ``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """The number of open connections of clients."""
        with self._changed:
            return len(self._relays)

    def switch(self, mode: Mode, seconds: float = 0.0) -> None:
        """Change the mode.

        Args:
            mode: One of the modes.
            seconds: For ``"delay"``, how long each request is held back.
        """
        with self._changed:
            self._mode, self._seconds = mode, seconds
            self._changed.notify_all()
            if mode == "refuse":
                self._stop_listening()
            elif self._listener is None:
                self._listen()
        if mode == "reset":
            self.cut()

    def cut(self) -> None:
        """Reset the open connections without changing the mode."""
        with self._changed:
            relays = set(self._relays)
            for relay in relays:
                relay.cut()
            self._changed.notify_all()
        for relay in relays:
            relay.join(_CLOSE_SECONDS)

    def heal(self) -> None:
        """Switch to the mode ``"pass"``, and reset connections that may have lost bytes."""
        self.switch("pass")
        self.cut()

    def lose_reply_to(self, *words: bytes) -> None:
        """Reset the connection of the next request that contains one of the words, after the server has answered it."""
        with self._changed:
            self._doomed_words = words

    def close(self) -> None:
        """Reset the open connections and release the port."""
        self.switch("refuse")
        self.cut()
        self._place.close()

    def _listen(self) -> None:
        listener = _bound(self.port)
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            # Closing alone would not wake the thread that accepts connections.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with self._changed:
                    if listener is not self._listener:
                        _reset(client)
                        return
                    relay = _Relay(self, client)
                    self._relays.add(relay)
                    self.accepted += 1
                    relay.start()

    def _decide(self, relay: _Relay, data: bytes, *, asked: bool, answered: bool) -> Mode:
        """Return how to treat some bytes, after the delay that is set for requests."""
        with self._changed:
            self.round_trips += answered
            if asked and self._mode == "delay":
                self._changed.wait_for(lambda: self._mode != "delay" or relay.is_cut, self._seconds)
            if asked and any(word in data for word in self._doomed_words):
                self._doomed_words = ()
                relay.is_doomed = True
            return self._mode

    def _await_end_of_hole(self, relay: _Relay) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._mode != "hole" or relay.is_cut)

    def _forget(self, relay: _Relay) -> None:
        with self._changed:
            self._relays.discard(relay)
            self._changed.notify_all()


class _Relay(threading.Thread):
    """One client's connection."""

    def __init__(self, proxy: FaultProxy, client: socket.socket) -> None:
        super().__init__(daemon=True)
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._ready = selectors.DefaultSelector()
        self._asking = False
        self._lost_requests = False
        self._lost_replies = False
        self.is_cut = False
        self.is_doomed = False

    def cut(self) -> None:
        """Make the thread reset both sides. The caller holds the lock of the proxy."""
        self.is_cut = True
        for side in (self._client, self._server):
            if side is not None:
                with suppress(OSError):
                    # This sends nothing, but it wakes the thread.
                    side.shutdown(socket.SHUT_RD)

    def run(self) -> None:
        try:
            with self._ready, suppress(OSError):
                self._ready.register(self._client, selectors.EVENT_READ)
                while not self.is_cut and self._pass_on():
                    pass
        finally:
            self._close()
            self._proxy._forget(self)

    def _pass_on(self) -> bool:
        """Forward the bytes of both sides; return ``False`` after one side has closed."""
        for key, _ in self._ready.select():
            asked = key.fileobj is self._client
            data = (self._client if asked or self._server is None else self._server).recv(_CHUNK)
            if not data:
                self._proxy._await_end_of_hole(self)
                return False
            # Answers are counted, because psycopg sends a message without an answer at the end of a pipeline.
            answered, self._asking = self._asking and not asked, asked
            mode = self._proxy._decide(self, data, asked=asked, answered=answered)
            if self.is_cut or mode == "reset" or (self.is_doomed and not asked):
                self.is_cut = True
            elif asked:
                self._request(data, mode)
            else:
                self._reply(data, mode)
        return True

    def _request(self, data: bytes, mode: Mode) -> None:
        self._lost_requests |= mode == "hole"
        if not self._lost_requests:
            self._reach_server().sendall(data)

    def _reply(self, data: bytes, mode: Mode) -> None:
        self._lost_replies |= mode in {"hole", "eat"}
        if not self._lost_replies:
            self._client.sendall(data)

    def _reach_server(self) -> socket.socket:
        if self._server is None:
            try:
                self._server = socket.create_connection(self._proxy.server, _CLOSE_SECONDS)
            except OSError:
                self.is_cut = True
                raise
            self._server.settimeout(None)
            self._ready.register(self._server, selectors.EVENT_READ)
        return self._server

    def _close(self) -> None:
        for side in (self._client, self._server):
            if side is None:
                continue
            if self.is_cut:
                _reset(side)
            side.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(side: socket.socket) -> None:
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    side.close()
