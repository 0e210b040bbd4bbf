"""An httpx client that sends every request through a circuit breaker. Each host has one breaker.

    python httpx_client.py http://localhost:8000/

The breaker is in the transport of the client, so the code that sends requests does not change. A request without an
answer counts as a failure, and so does an answer with status 5xx. An answer with status 404 counts as a success. While
the circuit is open, a request raises `CircuitBreakerOpenError` and sends nothing.

A call ends when the headers of the answer arrive. An error during the reading of the body does not count.
"""

from __future__ import annotations

import sys

import httpx

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    SqlStore,
    Store,
    migrate,
)

POLICY = BreakerPolicy(failure_threshold=5, recovery_timeout=30.0, probe_lease=20.0)
TIMEOUT = 5.0

# A full connection pool of this client and a wrong URL say nothing about the host.
NOT_THE_HOST = (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)


def is_server_error(response: httpx.Response) -> bool:
    return response.is_server_error


class GuardedTransport(httpx.BaseTransport):
    """A transport for `httpx.Client` that sends a request only if the breaker of the host admits the request.

    Args:
        store: The store of the breakers.
        transport: The transport that sends the admitted requests; ``None`` means a new `httpx.HTTPTransport`.
    """

    def __init__(self, store: Store, transport: httpx.BaseTransport | None = None) -> None:
        self.breaker = CircuitBreaker(
            store, POLICY, record_on=(httpx.TransportError,), ignore=NOT_THE_HOST, is_failed_result=is_server_error
        )
        self._transport = transport or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.breaker.call(request.url.host, self._transport.handle_request, request)

    def close(self) -> None:
        self._transport.close()
        self.breaker.close()


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` that sends a request only if the breaker of the host admits the request.

    Args:
        store: The store of the breakers: an `AsyncSqlStore` or any other store.
        transport: The transport that sends the admitted requests; ``None`` means a new `httpx.AsyncHTTPTransport`.
    """

    def __init__(self, store: AsyncStore | Store, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.breaker = AsyncCircuitBreaker(
            store, POLICY, record_on=(httpx.TransportError,), ignore=NOT_THE_HOST, is_failed_result=is_server_error
        )
        self._transport = transport or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.breaker.call(request.url.host, self._transport.handle_async_request, request)

    async def aclose(self) -> None:
        await self._transport.aclose()
        await self.breaker.close()


def main(url: str) -> None:
    migrate("sqlite:///breakers.db")
    with (
        SqlStore("sqlite:///breakers.db") as store,
        httpx.Client(transport=GuardedTransport(store), timeout=TIMEOUT) as client,
    ):
        for _ in range(8):
            try:
                print(client.get(url).status_code)
            except httpx.TransportError as error:
                print(f"no answer: {type(error).__name__}")
            except CircuitBreakerOpenError as refused:
                print(f"not sent; try again in {refused.retry_after:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
