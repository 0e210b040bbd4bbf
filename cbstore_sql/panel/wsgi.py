"""The panel as a WSGI application."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any

from cbstore_sql.panel.access import Authorize
from cbstore_sql.panel.app import Panel
from cbstore_sql.panel.messages import MAX_BODY, EventStream, PanelRequest, Response, fields
from cbstore_sql.panel.setup import Who, make_panel
from cbstore_sql.panel.streams import HEARTBEAT, HELLO, MOST_STREAMS, event
from cbstore_sql.panel.views import View
from cbstore_sql.stores.base import Store

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Any]


def panel_wsgi(  # settings
    store: str | Store,
    *,
    actions: bool = False,
    token: str | None = None,
    authorize: Authorize | None = None,
    who: Who | str | None = None,
    origins: Sequence[str] = (),
    period: float = 2.0,
    events: bool = False,
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """Make a WSGI application that shows the breakers of a database.

    Without ``token`` and without ``authorize``, the panel answers only requests that come from this machine and name a
    loopback host. See `panel_asgi` for the same panel as an ASGI application.

    Args:
        store: The database's URL, or a synchronous store on SQL or Redis. The panel shows the breakers of every
            namespace.
        actions: Whether users may open, close, lock and unlock breakers. If ``False``, users can only read.
        token: A secret of 16 characters or more. A user who knows the token may use the panel from any address.
            ``None`` means that the panel has no login.
        authorize: The host application's function that returns the rights of a request: ``"none"``, ``"read"`` or
            ``"act"``. It must not be a coroutine function. ``None`` means that the panel checks the token or the
            address.
        who: The name of the person behind a request, for the history: a text, or a function from the request to a text.
            ``None`` means ``"panel"``.
        origins: Further origins of the panel, such as ``https://ops.example.com``. A panel behind a proxy that changes
            the Host header needs them.
        period: Seconds for which one read of the store serves all requests and all open tabs, from 0.1 to 3600.
        events: Whether the server sends an event to open tabs when a page changes. Each open tab then occupies one
            thread of the server. If ``False``, each tab asks the server every few seconds. If the page has not changed,
            the answer is the short status 304.

    Raises:
        ConfigurationError: An argument cannot be used.
    """
    panel = make_panel(
        store, actions=actions, token=token, authorize=authorize, who=who, origins=origins, period=period, events=events
    )
    return _Application(panel)


class _Application:
    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._streams = threading.Semaphore(MOST_STREAMS)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = _body(environ)
        if body is None:
            return _answer(start_response, Response(413))
        request = _request(environ, body)
        gatekeeper = self._panel.settings.gatekeeper
        response = self._panel.handle(request, gatekeeper.granted(gatekeeper.ask(request)))
        if isinstance(response, Response):
            return _answer(start_response, response)
        if not self._streams.acquire(blocking=False):
            return _answer(start_response, Response(503))
        start_response("200 OK", response.header_list())
        return self._stream(response)

    def _stream(self, stream: EventStream) -> Iterator[bytes]:
        changes: queue.Queue[None] = queue.Queue()
        end = self._panel.settings.reader.watch(View.of(stream.query), lambda: changes.put(None))
        try:
            yield HELLO
            while True:
                try:
                    changes.get(timeout=HEARTBEAT)
                except queue.Empty:
                    yield b": still here\n\n"
                else:
                    yield event()
        finally:
            end()
            self._streams.release()


def _request(environ: Environ, body: bytes) -> PanelRequest:
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for key, value in environ.items()
        if key.startswith("HTTP_") or key == "CONTENT_TYPE"
    }
    return PanelRequest(
        method=str(environ["REQUEST_METHOD"]).upper(),
        prefix=_text(environ.get("SCRIPT_NAME", "")).rstrip("/"),
        path=_text(environ.get("PATH_INFO", "")),
        query=fields(environ.get("QUERY_STRING", "")),
        headers=headers,
        client=str(environ.get("REMOTE_ADDR", "")),
        is_secure=environ.get("wsgi.url_scheme") == "https",
        form=fields(body.decode("latin-1")),
        native=environ,
    )


def _text(value: str) -> str:
    """Decode a path of the WSGI environ.

    WSGI servers put the UTF-8 bytes of the path into a Latin-1 text. This function restores the original text.

    Args:
        value: The path from the environ.
    """
    return value.encode("latin-1").decode("utf-8", "replace")


def _body(environ: Environ) -> bytes | None:
    length = str(environ.get("CONTENT_LENGTH") or "0")
    if not length.isdecimal() or int(length) > MAX_BODY:
        return None
    body: bytes = environ["wsgi.input"].read(int(length)) if int(length) else b""
    return body


def _answer(start_response: StartResponse, response: Response) -> list[bytes]:
    start_response(f"{response.status} {HTTPStatus(response.status).phrase}", response.header_list())
    return [response.body]
