"""Every request of an httpx client through a circuit breaker, one breaker for each host.

    python httpx_client.py http://localhost:8000/

A transport is the place for it: no call site changes. A request that gets no answer counts as a failure, and so does
an answer with a 5xx; a 404 is the server's good work. A request through an open circuit raises
`CircuitBreakerOpenError` without touching the network.

A call ends when the answer's headers are there; what goes wrong while its body is read does not count.
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

# A busy pool of our own and a wrong URL say nothing about the host.
NOT_THE_HOST = (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)


def is_server_error(response: httpx.Response) -> bool:
    return response.is_server_error


class GuardedTransport(httpx.BaseTransport):
    """Sends a request if the breaker of its host lets it through."""

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
    """The same for `httpx.AsyncClient`; an `AsyncSqlStore` or any other store will do."""

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
