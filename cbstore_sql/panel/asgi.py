"""The panel as an ASGI application."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from cbstore_sql.panel.access import Authorize
from cbstore_sql.panel.app import Panel
from cbstore_sql.panel.messages import MAX_BODY, EventStream, PanelRequest, Response, fields
from cbstore_sql.panel.setup import Who, make_panel
from cbstore_sql.panel.streams import HEARTBEAT, HELLO, MOST_STREAMS, event
from cbstore_sql.panel.views import View
from cbstore_sql.stores.base import Store

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def panel_asgi(  # settings
    store: str | Store,
    *,
    actions: bool = False,
    token: str | None = None,
    authorize: Authorize | None = None,
    who: Who | str | None = None,
    origins: Sequence[str] = (),
    period: float = 2.0,
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Make an ASGI application that shows the breakers of a database.

    Mount the application in Starlette or FastAPI: ``app.mount("/ops/breakers", panel_asgi(url))``. Without ``token``
    and without ``authorize``, the panel answers only requests that come from this machine and name a loopback host.

    Args:
        store: The database's URL, or a synchronous store on SQL or Redis. The panel shows the breakers of every
            namespace.
        actions: Whether users may open, close, lock and unlock breakers. If ``False``, users can only read.
        token: A secret of 16 characters or more. A user who knows the token may use the panel from any address.
            ``None`` means that the panel has no login.
        authorize: The host application's function that returns the rights of a request: ``"none"``, ``"read"`` or
            ``"act"``. It may be a coroutine function. ``None`` means that the panel checks the token or the address.
        who: The name of the person behind a request, for the history: a text, or a function from the request to a text.
            ``None`` means ``"panel"``.
        origins: Further origins of the panel, such as ``https://ops.example.com``. A panel behind a proxy that changes
            the Host header needs them.
        period: Seconds for which one read of the store serves all requests and all open tabs, from 0.1 to 3600.

    Raises:
        ConfigurationError: An argument cannot be used.
    """
    panel = make_panel(
        store, actions=actions, token=token, authorize=authorize, who=who, origins=origins, period=period, events=True
    )
    return _Application(panel)


class _Application:
    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise NotImplementedError("the panel speaks HTTP")
        body = await _body(receive)
        if body is None:
            await _answer(send, Response(413))
            return
        request = _request(scope, body)
        settings = self._panel.settings
        answer = settings.gatekeeper.ask(request)
        access = settings.gatekeeper.granted(await answer if inspect.isawaitable(answer) else answer)
        response = await asyncio.to_thread(self._panel.handle, request, access)
        if isinstance(response, Response):
            await _answer(send, response)
        elif self._streams >= MOST_STREAMS:
            await _answer(send, Response(503))
        else:
            await self._stream(response, receive, send)

    async def _stream(self, stream: EventStream, receive: Receive, send: Send) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def notify() -> None:
            loop.call_soon_threadsafe(changed.set)

        view = View.of(stream.query)
        end = self._panel.settings.reader.watch(view, notify)
        gone = asyncio.ensure_future(_gone(receive))
        self._streams += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _encoded(stream.header_list())})
            await _part(send, HELLO)
            while not gone.done():
                waiting = asyncio.ensure_future(changed.wait())
                await asyncio.wait({waiting, gone}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                await _part(send, event() if changed.is_set() else b": still here\n\n")
                changed.clear()
        finally:
            self._streams -= 1
            end()
            gone.cancel()


def _request(scope: Scope, body: bytes) -> PanelRequest:
    prefix = str(scope.get("root_path", "")).rstrip("/")
    path = str(scope["path"])
    # Some servers include the prefix in the path; older servers leave the prefix out.
    path = path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    return PanelRequest(
        method=str(scope["method"]).upper(),
        prefix=prefix,
        path=path,
        query=fields(scope.get("query_string", b"").decode("latin-1")),
        headers=headers,
        client=client[0] if client else "",
        is_secure=scope.get("scheme") == "https",
        form=fields(body.decode("latin-1")),
        native=scope,
    )


async def _body(receive: Receive) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body"):
            return body


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, response: Response) -> None:
    headers = _encoded(response.header_list())
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _part(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
