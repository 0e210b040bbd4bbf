"""Views: one that fails, the readiness page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from cbstore_sql.integrations.django import get_breaker
from cbstore_sql.integrations.django.middleware import ready


def rates(request: HttpRequest) -> HttpResponse:
    with get_breaker().guard("rates"):
        raise OSError("down")


urlpatterns = [
    path("rates", rates),
    path("ready", ready),
    path("strict", ready, {"require_store": True}),
    path("ops/breakers/", include("cbstore_sql.integrations.django.panel")),
    path("admin/", include(([path("login/", rates, name="login")], "admin"))),
]
