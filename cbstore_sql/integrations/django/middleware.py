"""A middleware that answers refused requests, and a readiness view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.integrations import _web
from cbstore_sql.integrations.django import get_breaker


class RefusedCallMiddleware:
    """Answer 503 with ``Retry-After`` when a view raised `CircuitBreakerOpenError`.

    Args:
        get_response: The next handler.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle a request."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a refused request; leave every other exception alone."""
        if not isinstance(exception, CircuitBreakerOpenError):
            return None
        response = JsonResponse(_web.refused_body(exception), status=_web.REFUSED_STATUS)
        response["Retry-After"] = _web.retry_after(exception)
        return response


def ready(request: HttpRequest, require_store: bool = False) -> Any:
    """Say whether the store answers: a view for ``path("ready", ready)``.

    Args:
        request: The request.
        require_store: ``True`` answers 503 while the store does not answer; pass it as the path's extra argument.
            An open circuit does not change the answer.
    """
    answers = get_breaker().check_store()
    return JsonResponse(
        _web.readiness_body(answers), status=200 if answers or not require_store else _web.REFUSED_STATUS
    )
