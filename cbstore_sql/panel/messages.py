"""Requests and responses of the panel, independent of ASGI and WSGI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

MAX_BODY = 16_384
"""The greatest length in bytes of a request body that the panel reads."""

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The value must not be no-referrer: with no-referrer, browsers send "Origin: null" with the panel's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class PanelRequest:
    """One HTTP request, as the panel and the host application's ``authorize`` and ``who`` receive it.

    Attributes:
        method: The HTTP method in upper case, such as ``GET``.
        prefix: The path at which the panel is mounted: ``""`` or, for example, ``/ops/breakers``.
        path: The path below the prefix: ``""``, or a path that begins with ``/``.
        query: The fields of the query string. If a field is repeated, the last value counts.
        headers: The headers by lower-case name.
        client: The client's address, or ``""`` if the server does not report the address.
        is_secure: Whether the server reports that the request came by HTTPS.
        form: The fields of the body of a POST.
        native: The ASGI scope or the WSGI environ, so that the host application can look up its session.
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
        """The cookies of the request, by name."""
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name: value for name, separator, value in pairs if separator}


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response.

    Attributes:
        status: The HTTP status.
        body: The body. Texts are encoded as UTF-8.
        content_type: The media type of the body.
        headers: Further headers.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def header_list(self) -> list[tuple[str, str]]:
        """Return all headers of the response, including the security headers of every page."""
        own = {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        return list({"Cache-Control": "no-store", **own, **_SECURITY, **self.headers}.items())


@dataclass(frozen=True, slots=True)
class EventStream:
    """An open answer to a request, in which the server sends an event whenever the page in a tab has changed.

    Attributes:
        query: The fields of the query string of the page in the tab.
    """

    query: Mapping[str, str]

    def header_list(self) -> list[tuple[str, str]]:
        """Return all headers of the stream. One of the headers tells proxies not to buffer the stream."""
        own = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return list({**own, **_SECURITY}.items())


def redirect(location: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that sends the browser to another page with a GET request (status 303).

    Args:
        location: The URL of the other page.
        headers: Further headers. ``None`` means no further headers.
    """
    return Response(303, headers={"Location": location, **(headers or {})})


def fields(text: str) -> dict[str, str]:
    """Return the fields of a query string or a form by name.

    Args:
        text: The URL-encoded text. If a field is repeated, the last value counts.

    Raises:
        ValueError: The text has more than 50 fields.
    """
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50, errors="replace"))
