"""The web panel inside a Django project, for members of the staff.

::

    urlpatterns = [..., path("ops/breakers/", include("cbstore_sql.integrations.django.panel"))]

Django sends all other users to the admin's login. With ``"panel_actions": True`` in ``CBSTORE``, the staff may open,
close and lock breakers; otherwise they may only read. The history names the user. The view is exempt from Django's CSRF
token, because the panel itself refuses requests from other sites (by ``Sec-Fetch-Site`` and ``Origin``).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from cbstore_sql.integrations.django import breakers
from cbstore_sql.integrations.django.config import BreakersSettings
from cbstore_sql.panel import Access, PanelRequest, panel_wsgi

_USER = "cbstore.user"


@csrf_exempt
@staff_member_required
def panel(request: HttpRequest, path: str) -> HttpResponse:
    """Return the panel's response to one request of a member of the staff.

    Args:
        request: The request.
        path: The part of the URL path after the panel's address.
    """
    status, headers = 500, list[tuple[str, str]]()

    def start_response(line: str, fields: list[tuple[str, str]], *_: Any) -> None:
        nonlocal status, headers
        status, headers = int(line.split(maxsplit=1)[0]), fields

    body = b"".join(_application()(_environ(request, path), start_response))
    response = HttpResponse(body, status=status)
    del response["Content-Type"]
    for name, value in headers:
        response[name] = value
    return response


def _application() -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application of the panel over this process's store.

    The panel keeps no state except the rows that it read last.
    """
    breaker, found = breakers.current(), BreakersSettings.read()
    made = breakers.panels.get(breaker)
    if made is None:
        level = Access.ACT if found.panel_actions else Access.READ
        made = panel_wsgi(breaker.store, actions=found.panel_actions, authorize=lambda _: level, who=_who)
        breakers.panels[breaker] = made
    return made


def _who(request: PanelRequest) -> str:
    return str(request.native[_USER])


def _environ(request: HttpRequest, path: str) -> dict[str, Any]:
    """Return the WSGI environ of a request. ``META`` has the WSGI keys under WSGI and under ASGI."""
    return {
        **request.META,
        "SCRIPT_NAME": request.path.removesuffix(path).rstrip("/"),
        "PATH_INFO": f"/{path}",
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "CONTENT_LENGTH": str(len(request.body)),
        _USER: request.user.get_username(),
    }


urlpatterns = [re_path(r"^(?P<path>.*)$", panel)]
