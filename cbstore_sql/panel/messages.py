"""Requests and responses of the panel, independent of ASGI and WSGI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

MAX_BODY = 16_384
"""The longest form that is read, bytes."""

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class PanelRequest:
    """One request, for the panel and for the host's ``authorize``.

    Attributes:
        method: ``GET`` or ``POST``, in upper case.
        prefix: Where the panel is mounted: ``""`` or ``/ops/breakers``.
        path: The path below the prefix, beginning with ``/``.
        query: The query's fields; of a repeated one the last.
        headers: By lower-case name.
        client: The client's address, ``""`` where the server does not tell.
        is_secure: Whether it came by HTTPS, as far as the server knows.
        form: The fields of a POST's body.
        native: The ASGI scope or the WSGI environ, for a host that looks up its own session.
    """

    method: str
    prefix: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    is_secure: bool = False
    form: Mapping[str, str] = field(default_factory=dict)
    native: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, by name."""
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name: value for name, separator, value in pairs if separator}


@dataclass(frozen=True, slots=True)
class Response:
    """One response.

    Attributes:
        status: The HTTP status.
        body: The body, UTF-8 where it is text.
        content_type: Its media type.
        headers: Further headers.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def header_list(self) -> list[tuple[str, str]]:
        """Return every header, those that protect the browser included."""
        own = {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        return list({"Cache-Control": "no-store", **own, **_SECURITY, **self.headers}.items())


@dataclass(frozen=True, slots=True)
class EventStream:
    """In place of a response: the server sends an event whenever what a query shows has changed.

    Attributes:
        query: The fields of the page that is being looked at.
    """

    query: Mapping[str, str]

    def header_list(self) -> list[tuple[str, str]]:
        """Return the headers of the stream; proxies are asked not to buffer it."""
        own = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return list({**own, **_SECURITY}.items())


def redirect(location: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that sends the browser elsewhere, with GET."""
    return Response(303, headers={"Location": location, **(headers or {})})


def fields(text: str) -> dict[str, str]:
    """Read a query string or a form; of a repeated field the last counts."""
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50, errors="replace"))
