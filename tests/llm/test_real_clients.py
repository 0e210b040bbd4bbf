"""Tests with the exceptions that the clients of Anthropic and OpenAI and httpx raise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.utils import formatdate
from typing import Any

import anthropic
import httpx
import openai
import pytest

from cbstore_sql import CircuitBreakerOpenError
from tests.llm.server import HangUp, Reply, Server, Silence, serving
from tests.llm.tools import NAME, RESET, Bench, run

ClientCall = Callable[[], Awaitable[object]]
Client = Callable[[str, float], AbstractAsyncContextManager[ClientCall]]

MESSAGES: Any = [{"role": "user", "content": "hello?"}]
# Seconds that a client waits for an answer, and for an answer that never comes.
PATIENT = 60.0
IMPATIENT = 0.2


@asynccontextmanager
async def of_anthropic(url: str, patience: float) -> AsyncIterator[ClientCall]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0, timeout=patience) as client:

        async def ask() -> object:
            answer: Any = await client.messages.create(model="m", max_tokens=9, messages=MESSAGES)
            return answer.content[0].text

        yield ask


@asynccontextmanager
async def of_openai(url: str, patience: float) -> AsyncIterator[ClientCall]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=patience) as client:

        async def ask() -> object:
            answer: Any = await client.chat.completions.create(model="m", messages=MESSAGES)
            return answer.choices[0].message.content

        yield ask


@asynccontextmanager
async def of_httpx(url: str, patience: float) -> AsyncIterator[ClientCall]:
    async with httpx.AsyncClient(base_url=url, timeout=patience) as client:

        async def ask() -> object:
            response = await client.post("/v1/chat/completions", json=MESSAGES)
            return response.raise_for_status().json()["choices"][0]["message"]["content"]

        yield ask


CLIENTS: dict[str, Client] = {"anthropic": of_anthropic, "openai": of_openai, "httpx": of_httpx}

TOO_MANY = {"anthropic": anthropic.RateLimitError, "openai": openai.RateLimitError, "httpx": httpx.HTTPStatusError}
BAD_STATUS = {"anthropic": anthropic.APIStatusError, "openai": openai.APIStatusError, "httpx": httpx.HTTPStatusError}
NO_CONNECTION = {
    "anthropic": anthropic.APIConnectionError,
    "openai": openai.APIConnectionError,
    "httpx": httpx.TransportError,
}
TOO_SLOW = {"anthropic": anthropic.APITimeoutError, "openai": openai.APITimeoutError, "httpx": httpx.TimeoutException}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def call(bench: Bench, client: str, server: Server, patience: float = PATIENT, **options: Any) -> object:
    async def guarded() -> object:
        async with CLIENTS[client](server.url, patience) as ask:
            return await bench.breaker.call_with_retry(ask, **options)

    return run(guarded())


def test_an_answer_reaches_the_caller(bench: Bench, client: str, server: Server) -> None:
    assert call(bench, client, server) == "hello"


NOW = 1_750_000_000.0


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, 90.0),
    ],
    ids=["seconds", "milliseconds", "date"],
)
def test_the_call_waits_for_a_short_retry_after(
    bench: Bench, client: str, server: Server, headers: dict[str, str], waited: float
) -> None:
    server.will(Reply(429, headers))
    assert call(bench, client, server) == "hello"
    assert bench.paused(waited)
    assert (bench.breaker.failure_count, server.requests) == (0, 2)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": formatdate(NOW - 9, usegmt=True), "Date": formatdate(NOW, usegmt=True)},
    ],
    ids=["zero", "date that has passed"],
)
def test_a_retry_after_of_0_leads_to_a_normal_pause(
    bench: Bench, client: str, server: Server, headers: dict[str, str]
) -> None:
    server.will(Reply(429, headers))
    assert call(bench, client, server) == "hello"
    assert [0.8 <= nap <= 1.2 for nap in bench.naps] == [True]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "600"},
        {"Retry-After": formatdate(NOW + 600, usegmt=True), "Date": formatdate(NOW, usegmt=True)},
    ],
    ids=["seconds", "date"],
)
def test_a_long_wait_opens_the_circuit_for_that_time(
    bench: Bench, client: str, server: Server, headers: dict[str, str]
) -> None:
    server.will(Reply(429, headers))
    with pytest.raises(TOO_MANY[client]):
        call(bench, client, server)
    with pytest.raises(CircuitBreakerOpenError) as refused:
        call(bench, client, server)
    assert (refused.value.retry_after, server.requests) == (600.0, 1)


def test_a_429_without_retry_after_counts(bench: Bench, client: str, server: Server) -> None:
    server.will(Reply(429), Reply(429))
    with pytest.raises(TOO_MANY[client]):
        call(bench, client, server, max_retries=2)
    assert (bench.breaker.failure_count, len(bench.naps)) == (2, 1)


@pytest.mark.parametrize("status", [500, 529])
def test_server_errors_count_and_are_retried_until_the_circuit_opens(
    bench: Bench, client: str, server: Server, status: int
) -> None:
    server.will(Reply(status))
    assert call(bench, client, server) == "hello"
    server.will(*[Reply(status)] * 9)
    with pytest.raises(BAD_STATUS[client]):
        call(bench, client, server, max_retries=9)
    assert (bench.state, server.requests) == ("open", 5)
    bench.clock.advance(RESET)
    server.will()
    assert call(bench, client, server) == "hello"
    assert bench.state == "closed"


def test_another_status_is_raised_and_does_not_count(bench: Bench, client: str, server: Server) -> None:
    server.will(Reply(404, {"Retry-After": "7"}))
    with pytest.raises(BAD_STATUS[client]):
        call(bench, client, server)
    assert (bench.naps, bench.breaker.failure_count, server.requests) == ([], 0, 1)


def test_a_broken_connection_counts_as_a_failure(bench: Bench, client: str, server: Server) -> None:
    server.will(HangUp(), HangUp())
    with pytest.raises(NO_CONNECTION[client]):
        call(bench, client, server, max_retries=1)
    assert (bench.naps, bench.breaker.failure_count, bench.metrics.requests) == ([], 1, ["failure"])


def test_a_timeout_counts_as_a_failure(bench: Bench, client: str, server: Server) -> None:
    server.will(Silence(), Silence())
    with pytest.raises(TOO_SLOW[client]):
        call(bench, client, server, IMPATIENT, max_retries=1)
    assert (bench.naps, bench.breaker.failure_count, bench.metrics.requests) == ([], 1, ["failure"])


def test_a_probe_without_a_response_opens_the_circuit_again(bench: Bench, client: str, server: Server) -> None:
    bench.due()
    server.will(HangUp())
    with pytest.raises(NO_CONNECTION[client]):
        call(bench, client, server, max_retries=1)
    assert bench.store.read(NAME).retry_after == RESET
