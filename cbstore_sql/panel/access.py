"""Access to the panel: which request may read, which may act, and which POST comes from a page of the panel."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Any, Literal
from urllib.parse import urlsplit

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.panel.messages import PanelRequest

__all__ = ["Access", "Authorize", "Gatekeeper", "PanelRequest"]

COOKIE = "cbstore_panel"
_SHORTEST_TOKEN = 16


class Access(IntEnum):
    """The rights of a request, in rising order: an action needs `ACT`.

    Attributes:
        NONE: The request may see no page except the login.
        READ: The request may read pages.
        ACT: The request may read pages and change breakers.
    """

    NONE = 0
    READ = 1
    ACT = 2


Authorize = Callable[[PanelRequest], "Literal['none', 'read', 'act'] | Access | Awaitable[Any]"]
"""The host application's function from a request to rights; under ASGI it may be a coroutine function."""

_BY_NAME = {"none": Access.NONE, "read": Access.READ, "act": Access.ACT}


class Gatekeeper:
    """The access control of one panel: it grants a request no access, access for reading or access for acting.

    Without ``token`` and without ``authorize``, the gatekeeper admits only requests from this machine. The client's
    address must be a loopback address. The name in the Host header must also be a loopback name, because a foreign web
    page can give its domain the address 127.0.0.1.

    Args:
        actions: Whether requests may change breakers. If ``False``, every request has `Access.READ` at most.
        token: A secret of 16 characters or more. A request with this token has access from any address. ``None`` means
            that the panel has no token.
        authorize: The host application's function that returns the rights of a request. ``None`` means that the host
            application has no such function.
        origins: Further origins of the panel, such as ``https://ops.example.com``. A panel behind a proxy that changes
            the Host header needs them.

    Raises:
        ConfigurationError: ``token`` and ``authorize`` are both given, or the token is shorter than 16 characters.
    """

    def __init__(
        self,
        *,
        actions: bool = False,
        token: str | None = None,
        authorize: Authorize | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        if token is not None and authorize is not None:
            raise ConfigurationError("give the panel a token or authorize, not both")
        if token is not None and len(token) < _SHORTEST_TOKEN:
            raise ConfigurationError(f"the panel's token must have at least {_SHORTEST_TOKEN} characters")
        self._most = Access.ACT if actions else Access.READ
        self._token = token
        self._authorize = authorize
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    @property
    def has_login(self) -> bool:
        """Whether the panel has a token, so that a browser without the token sees the login page."""
        return self._token is not None

    def ask(self, request: PanelRequest) -> Any:
        """Return the unchecked rights of a request. The caller must pass the result to `granted`.

        Args:
            request: The request.

        Returns:
            If the panel has an ``authorize``, the result of ``authorize``. If this result is an awaitable, the caller
            must await it first. Otherwise an `Access`, from the token or from the address of the request.
        """
        if self._authorize is not None:
            return self._authorize(request)
        if self._token is not None:
            return self._most if self._knows_token(request) else Access.NONE
        return self._most if _is_local(request) else Access.NONE

    def granted(self, answer: Any) -> Access:
        """Check the result of `ask` and return the rights of the request.

        Args:
            answer: The awaited result of `ask`: ``"none"``, ``"read"``, ``"act"`` or an `Access`. Any other value
                grants no access.

        Returns:
            The rights. If the panel allows no actions, the rights are `Access.READ` at most.
        """
        if inspect.iscoroutine(answer):
            # WSGI awaits no coroutine. Close the coroutine, because Python warns about a coroutine that nothing awaits.
            answer.close()
        access = _BY_NAME.get(answer, Access.NONE) if isinstance(answer, str) else answer
        return min(access, self._most) if isinstance(access, Access) else Access.NONE

    def cookie_for(self, token: str) -> str | None:
        """Return the value of the login cookie, or ``None`` if the token is wrong.

        Args:
            token: The token that a user typed on the login page.
        """
        return self._cookie() if self._is_token(token) else None

    def was_meant(self, request: PanelRequest) -> bool:
        """Return whether a page of the panel itself sent a POST, and not a page of a foreign website.

        The browser names the sending page in the headers Sec-Fetch-Site and Origin, and a page cannot change these
        headers. If the POST has no Origin header, this method returns ``False``.

        Args:
            request: The POST request.
        """
        site = request.headers.get("sec-fetch-site")
        if site is not None and site != "same-origin":
            return False
        origin = request.headers.get("origin", "").lower()
        if origin in self._origins:
            return True
        scheme, separator, name = origin.partition("://")
        host = request.headers.get("host", "").lower()
        return scheme in ("http", "https") and bool(separator and host) and name == host

    def _knows_token(self, request: PanelRequest) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return True
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie().encode())

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), str(self._token).encode())

    def _cookie(self) -> str:
        # The cookie depends on the token alone. Every process with the token accepts the cookie; no session is stored.
        return hmac.new(str(self._token).encode(), b"cbstore panel", hashlib.sha256).hexdigest()


def _is_local(request: PanelRequest) -> bool:
    return _is_loopback(request.client) and _is_loopback(_host_name(request.headers.get("host", "")))


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
