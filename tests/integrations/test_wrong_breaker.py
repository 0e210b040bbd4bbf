"""An integration refuses the wrong kind of breaker when it is made, not at the first request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask

from cbstore_sql import AsyncCircuitBreaker, CircuitBreaker, InMemoryStore
from cbstore_sql.errors import InvalidArgumentError
from cbstore_sql.integrations import aiohttp, flask, httpx, httpx2, requests, starlette

BLOCKING: list[Callable[[Any], object]] = [
    httpx.BreakerTransport,
    httpx2.BreakerTransport,
    requests.BreakerAdapter,
    lambda breaker: flask.install(Flask("shop"), breaker),
]
AWAITING: list[Callable[[Any], object]] = [
    httpx.AsyncBreakerTransport,
    httpx2.AsyncBreakerTransport,
    aiohttp.breaker_middleware,
    starlette.readiness,
    lambda breaker: starlette.install(FastAPI(), breaker),
    lambda breaker: starlette.Guarded(breaker, "rates"),
]


@pytest.mark.parametrize("make", BLOCKING)
@pytest.mark.parametrize("wrong", [AsyncCircuitBreaker(InMemoryStore()), InMemoryStore(), None])
def test_code_that_blocks_needs_a_circuit_breaker(make: Callable[[Any], object], wrong: object) -> None:
    make(CircuitBreaker(InMemoryStore()))
    with pytest.raises(InvalidArgumentError, match=r"needs a CircuitBreaker, .*: write CircuitBreaker\(store\)"):
        make(wrong)


@pytest.mark.parametrize("make", AWAITING)
@pytest.mark.parametrize("wrong", [CircuitBreaker(InMemoryStore()), InMemoryStore(), None])
def test_code_that_awaits_needs_an_async_circuit_breaker(make: Callable[[Any], object], wrong: object) -> None:
    make(AsyncCircuitBreaker(InMemoryStore()))
    with pytest.raises(InvalidArgumentError, match=r"needs an AsyncCircuitBreaker, .*: write AsyncCircuitBreaker"):
        make(wrong)
