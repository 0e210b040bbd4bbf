"""Sends requests to both applications without a server."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cbstore_sql.panel import panel_asgi, panel_wsgi

LOCAL = "127.0.0.1"
HOST = "localhost:9465"
MEANT = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}


@dataclass(frozen=True)
class Answer:
    """The response to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Sends requests to the panel as WSGI, or as ASGI.

    Args:
        store: The store whose breakers the panel shows.
        colour: ``"wsgi"`` or ``"asgi"``.
        prefix: Where it is mounted.
        settings: What the application takes.
    """

    def __init__(self, store: Any, *, colour: str = "wsgi", prefix: str = "", **settings: Any) -> None:
        self.prefix = prefix
        self.application: Any = (panel_wsgi if colour == "wsgi" else panel_asgi)(store, **settings)
        self._send = self._wsgi if colour == "wsgi" else self._asgi

    def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        client: str = LOCAL,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self._send("GET", path, urlencode(query or {}), b"", client, {"host": HOST, **(headers or {})})

    def post(
        self,
        path: str,
        form: Mapping[str, str],
        headers: Mapping[str, str] = MEANT,
        *,
        client: str = LOCAL,
    ) -> Answer:
        kind = {"host": HOST, "content-type": "application/x-www-form-urlencoded"}
        return self._send("POST", path, "", urlencode(form).encode(), client, {**kind, **headers})

    def _wsgi(  # noqa: PLR0917 # the parts of a request
        self, method: str, path: str, query: str, body: bytes, client: str, headers: Mapping[str, str]
    ) -> Answer:
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": self.prefix,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": client,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        }
        started: list[tuple[str, list[tuple[str, str]]]] = []
        answer = b"".join(self.application(environ, lambda status, given: started.append((status, given))))
        status, given = started[0]
        return Answer(int(status.split()[0]), {name.lower(): value for name, value in given}, answer)

    def _asgi(  # noqa: PLR0917 # the parts of a request
        self, method: str, path: str, query: str, body: bytes, client: str, headers: Mapping[str, str]
    ) -> Answer:
        scope = {
            "type": "http",
            "method": method,
            "root_path": self.prefix,
            "path": f"{self.prefix}{path}",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": (client, 1234),
            "scheme": "http",
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.application(scope, receive, send))
        given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], given, b"".join(part["body"] for part in sent[1:]))
