"""The guarded HTTP clients behind one interface: one GET, with or without reading the body."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import httpx2
import requests

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, InMemoryStore
from cbstore_sql.integrations import aiohttp as guarded_aiohttp
from cbstore_sql.integrations import httpx as guarded_httpx
from cbstore_sql.integrations import httpx2 as guarded_httpx2
from cbstore_sql.integrations import requests as guarded_requests

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=30.0)


@dataclass(frozen=True)
class Client:
    """One client library.

    Attributes:
        get: Sends a GET over a store with the given settings and returns the status. ``read`` says whether to read
            the body; otherwise the response is closed after its head.
        refusal: What a refused request raises.
        base: The library's own base class of that.
        retried: Classes that retry rules for this library usually name.
    """

    get: Callable[..., int]
    refusal: type[CircuitBreakerOpenError]
    base: type[Exception]
    retried: tuple[type[Exception], ...]


def _httpx_like(package: Any, guarded: Any) -> Callable[..., int]:
    def get(store: InMemoryStore, url: str, *, read: bool = True, **settings: Any) -> int:
        breaker = CircuitBreaker(store, POLICY)
        transport = guarded.BreakerTransport(breaker, **settings)
        with package.Client(transport=transport) as client, client.stream("GET", url) as response:
            if read:
                response.read()
            return int(response.status_code)

    return get


def _httpx_like_async(package: Any, guarded: Any) -> Callable[..., int]:
    async def get(store: InMemoryStore, url: str, *, read: bool = True, **settings: Any) -> int:
        transport = guarded.AsyncBreakerTransport(AsyncCircuitBreaker(store, POLICY), **settings)
        async with package.AsyncClient(transport=transport) as client, client.stream("GET", url) as response:
            if read:
                await response.aread()
            return int(response.status_code)

    return lambda *args, **kwargs: asyncio.run(get(*args, **kwargs))


def _requests(store: InMemoryStore, url: str, *, read: bool = True, **settings: Any) -> int:
    with requests.Session() as session:
        session.mount("http://", guarded_requests.BreakerAdapter(CircuitBreaker(store, POLICY), **settings))
        with session.get(url, stream=not read) as response:
            return response.status_code


def _aiohttp(store: InMemoryStore, url: str, *, read: bool = True, **settings: Any) -> int:
    async def get() -> int:
        async with AsyncCircuitBreaker(store, POLICY) as breaker:
            middleware = guarded_aiohttp.breaker_middleware(breaker, **settings)
            async with aiohttp.ClientSession(middlewares=[middleware]) as session, session.get(url) as response:
                if read:
                    await response.read()
                return response.status

    return asyncio.run(get())


def _httpx_client(get: Callable[..., int], package: Any, guarded: Any) -> Client:
    retried = (package.ConnectError, package.TimeoutException, package.NetworkError, package.RemoteProtocolError)
    return Client(get, guarded.CircuitOpenTransportError, package.TransportError, retried)


CLIENTS = {
    "httpx": _httpx_client(_httpx_like(httpx, guarded_httpx), httpx, guarded_httpx),
    "httpx-async": _httpx_client(_httpx_like_async(httpx, guarded_httpx), httpx, guarded_httpx),
    "httpx2": _httpx_client(_httpx_like(httpx2, guarded_httpx2), httpx2, guarded_httpx2),
    "httpx2-async": _httpx_client(_httpx_like_async(httpx2, guarded_httpx2), httpx2, guarded_httpx2),
    "requests": Client(
        _requests,
        guarded_requests.CircuitOpenRequestError,
        requests.RequestException,
        (requests.ConnectionError, requests.Timeout, requests.HTTPError),
    ),
    "aiohttp": Client(
        _aiohttp,
        guarded_aiohttp.CircuitOpenClientError,
        aiohttp.ClientError,
        (aiohttp.ClientConnectionError, aiohttp.ClientResponseError, TimeoutError),
    ),
}
