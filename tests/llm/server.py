"""An API on this machine that gives prepared answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER: Mapping[str, Any] = {
    # The fields that the clients of Anthropic and OpenAI need in an answer.
    "id": "answer-1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
    "object": "chat.completion",
    "created": 0,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}

# Seconds. The limit only keeps a failure from hanging the suite.
GIVE_UP_AFTER = 60.0


@dataclass(frozen=True)
class Reply:
    """One answer of the server.

    Attributes:
        together: Holds it back until as many requests have come as the barrier is for.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    together: threading.Barrier | None = None


@dataclass(frozen=True)
class HangUp:
    """An answer that closes the connection without a response."""


@dataclass(frozen=True)
class Silence:
    """An answer that sends nothing until the server is closed."""


class Server:
    """A server that gives its prepared replies in order, and successful replies afterwards.

    Attributes:
        url: Where it listens, without a path.
        requests: How many came.
    """

    def __init__(self, url: str, closing: threading.Event) -> None:
        self.url = url
        self.requests = 0
        self._closing = closing
        self._replies: list[Reply | HangUp | Silence] = []

    def will(self, *replies: Reply | HangUp | Silence) -> None:
        """Set the next replies."""
        self._replies = list(replies)

    def next(self) -> Reply | HangUp | Silence:
        self.requests += 1
        return self._replies.pop(0) if self._replies else Reply()

    def wait(self) -> None:
        """Return when the server is closed."""
        self._closing.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        told: Server = self.server.told  # type: ignore[attr-defined] # put there by `serving`
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = told.next()
        if isinstance(reply, Reply):
            if reply.together is not None:
                reply.together.wait(GIVE_UP_AFTER)
            self._send(reply)
            return
        self.close_connection = True
        if isinstance(reply, Silence):
            told.wait()
        self.connection.shutdown(socket.SHUT_RDWR)

    do_POST = do_GET

    def _send(self, reply: Reply) -> None:
        good = reply.status == 200
        body = json.dumps(ANSWER if good else {"type": "error", "error": {"type": "e", "message": "no"}}).encode()
        self.send_response_only(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *message: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server."""
    closing = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        told = Server(f"http://127.0.0.1:{http.server_port}", closing)
        http.told = told  # type: ignore[attr-defined] # for the handlers, which know only their server
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            closing.set()
            http.shutdown()
            thread.join()
