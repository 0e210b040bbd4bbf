"""Transports for httpx2 that send each request only if a circuit breaker admits it.

::

    import httpx2
    from cbstore_sql import CircuitBreaker, SqlStore
    from cbstore_sql.integrations.httpx2 import BreakerTransport

    breaker = CircuitBreaker(SqlStore("postgresql://…"))
    client = httpx2.Client(transport=BreakerTransport(breaker))

Each scheme, host and port has a breaker of that name. A refused request raises `CircuitOpenTransportError`, which is
both an ``httpx2.TransportError`` and a `CircuitBreakerOpenError`. It is not one of the classes that retry rules usually
name (``ConnectError``, ``TimeoutException``), so a refusal is not retried by accident.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cbstore_sql.extras import needs_extra
from cbstore_sql.integrations._http import RefusedRequest
from cbstore_sql.integrations._httpx_family import AsyncTransport, AsyncWatchedBody, SyncTransport, WatchedBody

with needs_extra("cbstore_sql.integrations.httpx2", "httpx2"):
    import httpx2

__all__ = ["AsyncBreakerTransport", "BreakerTransport", "CircuitOpenTransportError"]


class CircuitOpenTransportError(RefusedRequest, httpx2.TransportError):
    """The error for a request that the circuit refused. Nothing was sent."""


class _Body(WatchedBody, httpx2.SyncByteStream):
    """A watched body of the type that httpx2 demands."""


class _AsyncBody(AsyncWatchedBody, httpx2.AsyncByteStream):
    """A watched body of the type that httpx2 demands."""


class BreakerTransport(SyncTransport, httpx2.BaseTransport):
    """An ``httpx2`` transport that sends each request only if a breaker admits it; see `SyncTransport`."""

    _default: ClassVar[Any] = httpx2.HTTPTransport
    _stream = _Body
    _refusal: ClassVar[Any] = CircuitOpenTransportError


class AsyncBreakerTransport(AsyncTransport, httpx2.AsyncBaseTransport):
    """An asynchronous ``httpx2`` transport that sends each request only if a breaker admits it; see `SyncTransport`."""

    _default: ClassVar[Any] = httpx2.AsyncHTTPTransport
    _stream = _AsyncBody
    _refusal: ClassVar[Any] = CircuitOpenTransportError
