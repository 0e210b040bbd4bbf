"""A FastAPI application that answers 503 with Retry-After while the service behind it is down.

    cbstore migrate --url postgresql+psycopg://app@db/app
    BREAKERS_URL=postgresql+psycopg://app@db/app RATES_URL=http://rates.internal uvicorn fastapi_app:app --workers 4

The lifespan opens the store once in each worker process, in the event loop that uses the store.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore, BreakerPolicy, CircuitBreakerOpenError

POLICY = BreakerPolicy(failure_threshold=5, recovery_timeout=15.0, probe_lease=20.0)


def is_the_service(error: BaseException) -> bool:
    """Return whether the service is at fault. For an answer with status 4xx, the request is at fault."""
    return not isinstance(error, httpx.HTTPStatusError) or error.response.is_server_error


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with (
        AsyncSqlStore(os.environ["BREAKERS_URL"]) as store,
        AsyncCircuitBreaker(store, POLICY, record_on=(httpx.HTTPError,), is_failure=is_the_service) as breaker,
        httpx.AsyncClient(base_url=os.environ["RATES_URL"], timeout=5.0) as client,
    ):
        app.state.breaker = breaker
        app.state.rates = client
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(CircuitBreakerOpenError)
async def refused(request: Request, error: CircuitBreakerOpenError) -> JSONResponse:
    """Answer 503 at once, with a Retry-After header in whole seconds.

    Retry-After is the rest of the open time. While another caller makes the probe, Retry-After is 1 second.
    """
    seconds = max(1, math.ceil(error.retry_after)) if error.state == "open" else 1
    return JSONResponse({"detail": f"{error.name} is down"}, 503, headers={"Retry-After": str(seconds)})


@app.exception_handler(httpx.HTTPError)
async def failed(request: Request, error: httpx.HTTPError) -> JSONResponse:
    return JSONResponse({"detail": "the service behind this one failed"}, 502)


@app.get("/rates/{currency}")
async def rate(currency: str, request: Request) -> JSONResponse:
    async with request.app.state.breaker.guard("rates"):
        answer = await request.app.state.rates.get(f"/{currency}")
        answer.raise_for_status()
    return JSONResponse(answer.json())
