"""Who may look at the panel, who may act, and whether a request was made on purpose."""

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
    """What a request may do."""

    NONE = 0
    READ = 1
    ACT = 2


Authorize = Callable[[PanelRequest], "Literal['none', 'read', 'act'] | Access | Awaitable[Any]"]
"""The host's own decision about a request; the ASGI application also awaits it."""

_BY_NAME = {"none": Access.NONE, "read": Access.READ, "act": Access.ACT}


class Gatekeeper:
    """Decides about each request.

    Without a token and without ``authorize`` only this machine is let in: the client's address must be a loopback one,
    and so must the name in the Host header, since a web page can give its own name the address 127.0.0.1.

    Args:
        actions: Whether anyone may act at all.
        token: Who knows it may use the panel, from any address.
        authorize: The host's own decision.
        origins: Further origins of the panel, ``https://ops.example.com``, where a proxy changes the Host header.

    Raises:
        ConfigurationError: Token and ``authorize`` are both given, or the token is too short to be secret.
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
        """Whether a browser is asked for the token."""
        return self._token is not None

    def ask(self, request: PanelRequest) -> Any:
        """Return what the request may do, or what has to be awaited for that; see `granted`."""
        if self._authorize is not None:
            return self._authorize(request)
        if self._token is not None:
            return self._most if self._knows_token(request) else Access.NONE
        return self._most if _is_local(request) else Access.NONE

    def granted(self, answer: Any) -> Access:
        """Read the answer of `ask`; whatever is not one of the three words or an `Access` means nothing."""
        if inspect.iscoroutine(answer):
            # Nothing awaits it here, and Python would warn about that.
            answer.close()
        access = _BY_NAME.get(answer, Access.NONE) if isinstance(answer, str) else answer
        return min(access, self._most) if isinstance(access, Access) else Access.NONE

    def cookie_for(self, token: str) -> str | None:
        """Return the cookie of a browser that gave the right token, ``None`` for a wrong one."""
        return self._cookie() if self._is_token(token) else None

    def was_meant(self, request: PanelRequest) -> bool:
        """Whether a POST comes from a page of the panel itself.

        The browser says so in Sec-Fetch-Site and in Origin, which pages cannot change. What sends no Origin is refused.
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
        # Made from the token alone: every process that has the token knows the cookie, and none keeps a session.
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
