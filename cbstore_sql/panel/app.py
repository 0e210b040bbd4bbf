"""The panel's answers to requests, independent of the web server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from cbstore_sql.core.validation import is_number
from cbstore_sql.errors import CircuitBreakerError, ConfigurationError, StoreError
from cbstore_sql.panel import pages
from cbstore_sql.panel.access import COOKIE, Access, Gatekeeper
from cbstore_sql.panel.actions import ACTIONS, Order, carry_out
from cbstore_sql.panel.messages import EventStream, PanelRequest, Response, redirect
from cbstore_sql.panel.reader import Reader, Reading
from cbstore_sql.panel.views import View

_MEDIA_TYPES = {
    "panel.css": "text/css; charset=utf-8",
    "panel.js": "text/javascript; charset=utf-8",
    "panel.svg": "image/svg+xml",
}
_COOKIE_SECONDS = 12 * 3600

Who = Callable[[PanelRequest], str]
"""A function from a request to the name of the person behind the request, for the history and the override."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The parts from which a `Panel` is built.

    Attributes:
        gatekeeper: The access control.
        reader: The object that reads the pages' breakers from the store.
        store: The store whose breakers the actions change.
        who: The function that names the person behind a request.
        events: Whether the server sends an event to open tabs when a page changes. If ``False``, each tab asks the
            server every few seconds.
    """

    gatekeeper: Gatekeeper
    reader: Reader
    store: Any
    who: Who
    events: bool


class Panel:
    """The web panel without a web server: turns each request into a response.

    Args:
        settings: The parts of the panel.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._assets = {name: (files(__package__) / "static" / name).read_bytes() for name in _MEDIA_TYPES}
        self._routes: Mapping[tuple[str, str], Callable[[PanelRequest, Access], Response | EventStream]] = {
            ("GET", "/"): self._list,
            ("GET", "/breaker"): self._breaker,
            ("GET", "/live"): self._live,
            ("GET", "/events"): self._events,
            ("GET", "/confirm"): self._confirm,
            ("POST", "/act"): self._act,
        }

    def handle(self, request: PanelRequest, access: Access) -> Response | EventStream:
        """Answer one request.

        An error of the library becomes an error page: status 503 if the store failed, otherwise 400.

        Args:
            request: The request.
            access: The rights of the request.

        Returns:
            A response, or an `EventStream` if the tab wants events.
        """
        try:
            return self._handle(request, access)
        except StoreError as error:
            return pages.error_page(request, 503, f"The breaker store did not answer: {error}")
        except CircuitBreakerError as error:
            return pages.error_page(request, 400, str(error))

    def _handle(self, request: PanelRequest, access: Access) -> Response | EventStream:
        return self._without_access(request) or self._with_access(request, access)

    def _without_access(self, request: PanelRequest) -> Response | None:
        """Answer a request that needs no access: a wrong method, a foreign POST, a static file or the login.

        Returns:
            The response, or ``None`` if the request needs access.
        """
        if request.method not in ("GET", "POST"):
            return pages.error_page(request, 405, "The panel answers GET and POST.")
        if request.method == "POST" and not self.settings.gatekeeper.was_meant(request):
            return pages.error_page(request, 403, "This request did not come from a page of the panel.")
        if request.path.startswith("/static/"):
            return self._static(request)
        if request.path == "/login" and self.settings.gatekeeper.has_login:
            return self._login(request)
        return None

    def _with_access(self, request: PanelRequest, access: Access) -> Response | EventStream:
        if access is Access.NONE:
            return self._refuse(request)
        if request.path == "":
            return redirect(f"{request.prefix}/")
        route = self._routes.get((request.method, request.path))
        if route is None:
            return pages.error_page(request, 404, "There is no such page.")
        return route(request, access)

    def _refuse(self, request: PanelRequest) -> Response:
        if self.settings.gatekeeper.has_login:
            return pages.login_page(request, 401)
        return pages.error_page(request, 403, "You may not see this panel from here.")

    def _static(self, request: PanelRequest) -> Response:
        name = request.path.removeprefix("/static/")
        if name not in self._assets or request.method != "GET":
            return pages.error_page(request, 404, "There is no such file.")
        return Response(200, self._assets[name], _MEDIA_TYPES[name], {"Cache-Control": "no-cache"})

    def _login(self, request: PanelRequest) -> Response:
        if request.method == "GET":
            return pages.login_page(request, 200)
        cookie = self.settings.gatekeeper.cookie_for(request.form.get("token", ""))
        if cookie is None:
            return pages.login_page(request, 401, wrong=True)
        secure = "; Secure" if request.is_secure else ""
        settings = f"Path={request.prefix}/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Strict{secure}"
        return redirect(f"{request.prefix}/", {"Set-Cookie": f"{COOKIE}={cookie}; {settings}"})

    def _list(self, request: PanelRequest, access: Access) -> Response:
        view = View.of({key: value for key, value in request.query.items() if key != "name"})
        return pages.list_page(request, view, self._reading(view), events=self.settings.events)

    def _breaker(self, request: PanelRequest, access: Access) -> Response:
        view = View.of({"name": "", **request.query})
        reading = self._reading(view, fresh="done" in request.query)
        if reading.page is not None and not reading.page.entries and not reading.trouble:
            return pages.error_page(
                request, 404, "There is no such breaker. One that never failed is not in the store."
            )
        return pages.breaker_page(request, view, reading, access=access, events=self.settings.events)

    def _live(self, request: PanelRequest, access: Access) -> Response:
        """Return the part of a page that changes, or status 304 without a body if the browser already has this part.

        Args:
            request: The request.
            access: Not used.
        """
        view = View.of(request.query)
        reading = self._reading(view)
        etag = f'"{reading.etag}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(304, headers=headers)
        return Response(200, pages.live_part(request, view, reading).encode(), headers=headers)

    def _events(self, request: PanelRequest, access: Access) -> Response | EventStream:
        if not self.settings.events:
            return pages.error_page(request, 404, "This panel sends no events.")
        return EventStream(request.query)

    def _confirm(self, request: PanelRequest, access: Access) -> Response:
        if access is not Access.ACT:
            return pages.error_page(request, 403, "You may look, but not act.")
        return pages.confirm_page(request, Order.of(request.query))

    def _act(self, request: PanelRequest, access: Access) -> Response:
        if access is not Access.ACT:
            return pages.error_page(request, 403, "You may look, but not act.")
        order = Order.of(request.form)
        carry_out(self.settings.store, order, by=self.settings.who(request))
        query = View(exact=(order.namespace, order.name)).query()
        return redirect(f"{request.prefix}/breaker?{query}&done={ACTIONS[order.action].key}")

    def _reading(self, view: View, *, fresh: bool = False) -> Reading:
        return self.settings.reader.read(view, fresh=fresh)


_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.1, 3600.0


def check_period(period: float) -> float:
    """Check the panel's period and return it as a float.

    Args:
        period: The seconds for which one read of the store serves all requests.

    Raises:
        ConfigurationError: ``period`` is not a number from 0.1 to 3600.
    """
    if not is_number(period, _SHORTEST_PERIOD, _LONGEST_PERIOD):
        raise ConfigurationError(f"period must be from 0.1 to 3600 seconds, got {period!r}")
    return float(period)
