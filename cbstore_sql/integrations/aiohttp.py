"""A client middleware for aiohttp (3.12 or newer) that sends each request only if a circuit breaker admits it.

::

    import aiohttp
    from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore
    from cbstore_sql.integrations.aiohttp import breaker_middleware

    breaker = AsyncCircuitBreaker(AsyncSqlStore("postgresql://…"))
    session = aiohttp.ClientSession(middlewares=[breaker_middleware(breaker)])

Each scheme, host and port has a breaker of that name. A refused request raises `CircuitOpenClientError`, which is both
an ``aiohttp.ClientError`` and a `CircuitBreakerOpenError`. It is neither a ``ClientConnectionError`` nor a timeout, so
retry rules for these two do not retry a refusal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from cbstore_sql.breaker.arguments import check_breaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.extras import needs_extra
from cbstore_sql.integrations._http import (
    DEFAULT_MAX_RETRY_AFTER,
    AsyncHttpCall,
    HttpRules,
    RefusedRequest,
    Statuses,
    origin,
)

with needs_extra("cbstore_sql.integrations.aiohttp", "aiohttp"):
    import aiohttp
    from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType

__all__ = ["CircuitOpenClientError", "breaker_middleware"]

_READERS = frozenset({"read", "readany", "readchunk", "readexactly", "readline", "readuntil"})


class CircuitOpenClientError(RefusedRequest, aiohttp.ClientError):
    """The error for a request that the circuit refused. Nothing was sent."""


def breaker_middleware(
    breaker: AsyncCircuitBreaker,
    *,
    name: str | Callable[[aiohttp.ClientRequest], str] | None = None,
    failed_statuses: Statuses | None = None,
    max_retry_after: float = DEFAULT_MAX_RETRY_AFTER,
) -> ClientMiddlewareType:
    """Return an aiohttp client middleware that sends each request only if a breaker admits it.

    Use the middleware as ``aiohttp.ClientSession(middlewares=[…])``.

    Args:
        breaker: The breaker. One object serves any number of hosts.
        name: One breaker name for all requests, or a function that returns the name for a ``ClientRequest``. ``None``
            means scheme, host and port.
        failed_statuses: The statuses that are failures, or a function that returns whether a status is a failure.
            ``None`` means 429 and every 5xx.
        max_retry_after: The longest ``Retry-After`` of a failed response that the breaker obeys, in seconds. During
            this time the circuit is open for every process. 0 means that the header is ignored.

    Raises:
        ConfigurationError: ``breaker``, ``name`` or ``failed_statuses`` has the wrong type.
        InvalidPolicyError: ``max_retry_after`` is negative or not a finite number.
    """
    check_breaker(breaker, AsyncCircuitBreaker)
    rules = HttpRules.of(name, _name_of, failed_statuses, max_retry_after)

    async def middleware(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        try:
            call = await AsyncHttpCall.begin(breaker, rules.name(request), rules)
        except CircuitBreakerOpenError as refused:
            raise CircuitOpenClientError(refused, request) from None
        try:
            response = await handler(request)
        except BaseException as error:
            await call.end(error=error)
            raise
        if await call.received(response.status, response.headers):
            response.content.on_eof(call.end_soon)
            response.content = _WatchedBody(response.content, call)  # type: ignore[assignment] # passes everything on
        return response

    return middleware


class _WatchedBody:
    """A wrapper of the body's ``StreamReader`` that reports the outcome of the call.

    All other attributes are those of the ``StreamReader``.
    """

    def __init__(self, content: aiohttp.StreamReader, call: AsyncHttpCall) -> None:
        self._content = content
        self._call = call

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._content, name)
        return self._watching(found) if name in _READERS else found

    def _watching(self, read: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                data = await read(*args, **kwargs)
            except Exception as error:
                await self._call.end(error=error)
                raise
            self._call.progress()
            return data

        return watched

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines("readline")

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Iterate over chunks of at most ``n`` bytes."""
        return self._lines("read", n)

    def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over data as it arrives."""
        return self._lines("readany")

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Iterate over chunks as the server sent them."""
        while (chunk := await self.__getattr__("readchunk")()) != (b"", False):
            yield chunk

    async def _lines(self, reader: str, *args: Any) -> AsyncIterator[bytes]:
        while data := await self.__getattr__(reader)(*args):
            yield data

    def set_exception(self, *args: Any) -> None:
        """End the call, because the response was closed or released. A reader that stops early is not a failure."""
        self._content.set_exception(*args)
        self._call.end_soon()


def _name_of(request: aiohttp.ClientRequest) -> str:
    return origin(request.url.scheme, request.url.host or "", request.url.port)
