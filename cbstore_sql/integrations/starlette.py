"""Starlette and FastAPI: a dependency that guards an endpoint, an answer for refused requests, lifespan, readiness.

::

    from fastapi import Depends, FastAPI
    from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore
    from cbstore_sql.integrations.starlette import Guarded, install

    breaker = AsyncCircuitBreaker(AsyncSqlStore("postgresql://…"))
    app = FastAPI()
    install(app, breaker, readiness="/ready")

    @app.get("/rates", dependencies=[Depends(Guarded(breaker, "rates"))])
    async def rates(): ...

The application answers a refused request with 503 and ``Retry-After``. When the application shuts down, `install`
closes the breaker and its store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cbstore_sql.breaker.arguments import check_breaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.extras import needs_extra
from cbstore_sql.integrations import _web

with needs_extra("cbstore_sql.integrations.starlette", "starlette"):
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

__all__ = ["Guarded", "install", "readiness", "refused"]

_SERVER_ERRORS = 500


async def refused(request: Request, error: Exception) -> Response:
    """Return the answer for a refused request: status 503 with ``Retry-After``.

    The function is an exception handler for `CircuitBreakerOpenError`.

    Args:
        request: The request.
        error: The refusal. Any other exception is raised again.
    """
    if not isinstance(error, CircuitBreakerOpenError):
        raise error
    headers = {"Retry-After": _web.retry_after(error)}
    return JSONResponse(_web.refused_body(error), _web.REFUSED_STATUS, headers=headers)


def readiness(breaker: AsyncCircuitBreaker, *, require_store: bool = False) -> Callable[[Request], Any]:
    """Return an endpoint that shows whether the store answers.

    An open circuit does not change the answer, because the instance can serve other requests.

    Args:
        breaker: The breaker whose store is checked.
        require_store: Whether the endpoint answers 503 while the store does not answer. With ``False``, the status is
            always 200, because the breakers work without their store.

    Raises:
        InvalidArgumentError: ``breaker`` is not an `AsyncCircuitBreaker`.
    """
    check_breaker(breaker, AsyncCircuitBreaker)

    async def ready(request: Request) -> Response:
        answers = await breaker.check_store()
        status = 200 if answers or not require_store else _web.REFUSED_STATUS
        return JSONResponse(_web.readiness_body(answers), status)

    return ready


def install(
    app: Starlette,
    breaker: AsyncCircuitBreaker,
    *,
    readiness: str | None = None,
    require_store: bool = False,
    close: bool = True,
) -> None:
    """Add the answer for refused requests, the readiness page and the shutdown of the breaker to an application.

    Args:
        app: A Starlette or FastAPI application.
        breaker: The breaker that guards the application's calls.
        readiness: The path of the readiness page, such as ``"/ready"``; ``None`` means no page. An
            open circuit does not change the answer of the page.
        require_store: Whether the readiness page answers 503 while the store does not answer. With ``False``, the
            status is always 200, because the breakers work without their store.
        close: Whether to close the breaker and its store when the application shuts down, after the shutdown of the
            application's lifespan.

    Raises:
        InvalidArgumentError: ``breaker`` is not an `AsyncCircuitBreaker`.
    """
    check_breaker(breaker, AsyncCircuitBreaker)
    app.add_exception_handler(CircuitBreakerOpenError, refused)
    if readiness is not None:
        app.router.routes.append(Route(readiness, _readiness(breaker, require_store=require_store)))
    if close:
        app.router.lifespan_context = _closing(breaker, app.router.lifespan_context)


class Guarded:
    """A FastAPI dependency that guards an endpoint with a breaker.

    The dependency admits or refuses each request, and reports the outcome to the breaker. An ``HTTPException`` with a
    status below 500 is the client's mistake, so it counts as a success of the endpoint. The breaker decides whether
    any other exception is a failure.

    Args:
        breaker: The breaker.
        name: The breaker name for all requests, or a function that returns the name for a request.

    Raises:
        InvalidArgumentError: ``breaker`` is not an `AsyncCircuitBreaker`.
    """

    def __init__(self, breaker: AsyncCircuitBreaker, name: str | Callable[[Request], str]) -> None:
        self._breaker = check_breaker(breaker, AsyncCircuitBreaker)
        self._name = name

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        """Guard one request.

        Args:
            request: The request.

        Raises:
            CircuitBreakerOpenError: The circuit refused the request.
        """
        name = self._name if isinstance(self._name, str) else self._name(request)
        mistake = None
        async with self._breaker.guard(name):
            try:
                yield
            except HTTPException as error:
                if error.status_code >= _SERVER_ERRORS:
                    raise
                mistake = error
        if mistake is not None:
            raise mistake


def _closing(breaker: AsyncCircuitBreaker, inner: Any) -> Any:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with inner(app) as state:
            yield state
        await breaker.close()
        await breaker.store.close()

    return lifespan


_readiness = readiness
