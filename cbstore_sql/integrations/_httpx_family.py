"""The common part of the transports for httpx and httpx2, two packages with the same interface.

The classes here are mixins. `cbstore_sql.integrations.httpx` and `cbstore_sql.integrations.httpx2` combine each mixin
with the base class and the exception of their package.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

from cbstore_sql.breaker.arguments import check_breaker
from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.integrations._http import (
    DEFAULT_MAX_RETRY_AFTER,
    AsyncHttpCall,
    HttpCall,
    HttpRules,
    Statuses,
    origin,
)


def name_of(request: Any) -> str:
    """Return the default breaker name of a request: scheme, host and port."""
    return origin(request.url.scheme, request.url.host, request.url.port)


class WatchedBody:
    """A wrapper of a response body that reports the outcome of the call to the breaker.

    A body that was read or closed is a success. An error while the body is read is a failure.
    """

    def __init__(self, body: Any, call: HttpCall) -> None:
        self._body = body
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._body:
                self._call.progress()
                yield chunk
        except Exception as error:
            self._call.end(error=error)
            raise
        self._call.end()

    def close(self) -> None:
        """Close the body and end the call. A reader that stops early does not make the call a failure."""
        try:
            self._body.close()
        finally:
            self._call.end()


class AsyncWatchedBody:
    """A wrapper of a response body for an event loop that reports the outcome of the call; see `WatchedBody`."""

    def __init__(self, body: Any, call: AsyncHttpCall) -> None:
        self._body = body
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._body:
                self._call.progress()
                yield chunk
        except Exception as error:
            await self._call.end(error=error)
            raise
        await self._call.end()

    async def aclose(self) -> None:
        """Close the body and end the call. A reader that stops early does not make the call a failure."""
        try:
            await self._body.aclose()
        finally:
            await self._call.end()


class SyncTransport:
    """A transport that sends each request only if a breaker admits it.

    Args:
        breaker: The breaker. One object serves any number of hosts.
        transport: The transport that sends the request; ``None`` means the package's ``HTTPTransport()``.
        name: One breaker name for all requests, or a function that returns the name for a request. ``None`` means
            scheme, host and port.
        failed_statuses: The statuses that are failures, or a function that returns whether a status is a failure.
            ``None`` means 429 and every 5xx.
        max_retry_after: The longest ``Retry-After`` of a failed response that the breaker obeys, in seconds. During
            this time the circuit is open for every process. 0 means that the header is ignored.

    Raises:
        ConfigurationError: ``breaker``, ``name`` or ``failed_statuses`` has the wrong type.
        InvalidPolicyError: ``max_retry_after`` is negative or not a finite number.
    """

    _default: ClassVar[Any]
    _stream: ClassVar[type[Any]]
    _refusal: ClassVar[Any]

    def __init__(
        self,
        breaker: CircuitBreaker,
        transport: Any = None,
        *,
        name: str | Callable[[Any], str] | None = None,
        failed_statuses: Statuses | None = None,
        max_retry_after: float = DEFAULT_MAX_RETRY_AFTER,
    ) -> None:
        self._breaker = check_breaker(breaker, CircuitBreaker)
        self._transport = self._default() if transport is None else transport
        self._rules = HttpRules.of(name, name_of, failed_statuses, max_retry_after)

    def handle_request(self, request: Any) -> Any:
        """Send a request if the circuit admits it.

        Raises:
            CircuitOpenTransportError: The circuit refused the request; nothing was sent.
        """
        try:
            call = HttpCall(self._breaker, self._rules.name(request), self._rules)
        except CircuitBreakerOpenError as refused:
            raise self._refusal(refused, request) from None
        try:
            response = self._transport.handle_request(request)
        except BaseException as error:
            call.end(error=error)
            raise
        if call.received(response.status_code, response.headers):
            response.stream = self._stream(response.stream, call)
        return response

    def close(self) -> None:
        """Close the inner transport. This method does not close the breaker."""
        self._transport.close()


class AsyncTransport:
    """A transport for an event loop that sends each request only if a breaker admits it; see `SyncTransport`."""

    _default: ClassVar[Any]
    _stream: ClassVar[type[Any]]
    _refusal: ClassVar[Any]

    def __init__(
        self,
        breaker: AsyncCircuitBreaker,
        transport: Any = None,
        *,
        name: str | Callable[[Any], str] | None = None,
        failed_statuses: Statuses | None = None,
        max_retry_after: float = DEFAULT_MAX_RETRY_AFTER,
    ) -> None:
        self._breaker = check_breaker(breaker, AsyncCircuitBreaker)
        self._transport = self._default() if transport is None else transport
        self._rules = HttpRules.of(name, name_of, failed_statuses, max_retry_after)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request if the circuit admits it.

        Raises:
            CircuitOpenTransportError: The circuit refused the request; nothing was sent.
        """
        try:
            call = await AsyncHttpCall.begin(self._breaker, self._rules.name(request), self._rules)
        except CircuitBreakerOpenError as refused:
            raise self._refusal(refused, request) from None
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            await call.end(error=error)
            raise
        if await call.received(response.status_code, response.headers):
            response.stream = self._stream(response.stream, call)
        return response

    async def aclose(self) -> None:
        """Close the inner transport. This method does not close the breaker."""
        await self._transport.aclose()
