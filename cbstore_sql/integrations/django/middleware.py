"""A middleware that answers refused requests, and a readiness view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.integrations import _web
from cbstore_sql.integrations.django import get_breaker


class RefusedCallMiddleware:
    """A middleware that answers 503 with ``Retry-After`` when a view raises `CircuitBreakerOpenError`.

    Args:
        get_response: The next handler.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Give a request to the next handler and return the response."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer for a refused request, or ``None`` for every other exception.

        Args:
            request: The request.
            exception: The exception that the view raised.
        """
        if not isinstance(exception, CircuitBreakerOpenError):
            return None
        response = JsonResponse(_web.refused_body(exception), status=_web.REFUSED_STATUS)
        response["Retry-After"] = _web.retry_after(exception)
        return response


def ready(request: HttpRequest, require_store: bool = False) -> Any:
    """Return a response that shows whether the store answers.

    The function is a view, for example for ``path("ready", ready)``.

    Args:
        request: The request.
        require_store: Whether to answer 503 while the store does not answer; pass it as the path's extra argument. With
            ``False``, the status is always 200. An open circuit does not change the status.
    """
    answers = get_breaker().check_store()
    return JsonResponse(
        _web.readiness_body(answers), status=200 if answers or not require_store else _web.REFUSED_STATUS
    )
