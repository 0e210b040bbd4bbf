"""Transports for httpx that send each request only if a circuit breaker admits it.

::

    import httpx
    from cbstore_sql import CircuitBreaker, SqlStore
    from cbstore_sql.integrations.httpx import BreakerTransport

    breaker = CircuitBreaker(SqlStore("postgresql://…"))
    client = httpx.Client(transport=BreakerTransport(breaker))

Each scheme, host and port has a breaker of that name. A refused request raises `CircuitOpenTransportError`, which is
both an ``httpx.TransportError`` and a `CircuitBreakerOpenError`. It is not one of the classes that retry rules usually
name (``ConnectError``, ``TimeoutException``), so a refusal is not retried by accident.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cbstore_sql.extras import needs_extra
from cbstore_sql.integrations._http import RefusedRequest
from cbstore_sql.integrations._httpx_family import AsyncTransport, AsyncWatchedBody, SyncTransport, WatchedBody

with needs_extra("cbstore_sql.integrations.httpx", "httpx"):
    import httpx

__all__ = ["AsyncBreakerTransport", "BreakerTransport", "CircuitOpenTransportError"]


class CircuitOpenTransportError(RefusedRequest, httpx.TransportError):
    """The error for a request that the circuit refused. Nothing was sent."""


class _Body(WatchedBody, httpx.SyncByteStream):
    """A watched body of the type that httpx demands."""


class _AsyncBody(AsyncWatchedBody, httpx.AsyncByteStream):
    """A watched body of the type that httpx demands."""


class BreakerTransport(SyncTransport, httpx.BaseTransport):
    """An ``httpx`` transport that sends each request only if a breaker admits it; see `SyncTransport`."""

    _default: ClassVar[Any] = httpx.HTTPTransport
    _stream = _Body
    _refusal: ClassVar[Any] = CircuitOpenTransportError


class AsyncBreakerTransport(AsyncTransport, httpx.AsyncBaseTransport):
    """An asynchronous ``httpx`` transport that sends each request only if a breaker admits it; see `SyncTransport`."""

    _default: ClassVar[Any] = httpx.AsyncHTTPTransport
    _stream = _AsyncBody
    _refusal: ClassVar[Any] = CircuitOpenTransportError
