"""Tests of examples/openai_compatible.py with the real client and two servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from openai import InternalServerError

from cbstore_sql import CircuitBreakerOpenError, LLMCircuitBreakerConfig, SqlStore
from examples.openai_compatible import Provider, ask_the_first_that_is_up
from tests.llm.server import Reply, Server, serving

CONFIG = LLMCircuitBreakerConfig(enabled=True, max_failures=1, reset_time_seconds=30)

Play = Callable[[Provider, Provider], Coroutine[Any, Any, None]]


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, store: SqlStore, server: Server, other: Server) -> Callable[[Play], None]:
    """Run a coroutine function with two providers."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")

    async def main(scene: Play) -> None:
        providers = [Provider.at(f"{there.url}/v1", there.url, store, CONFIG) for there in (server, other)]
        try:
            await scene(*providers)
        finally:
            for provider in providers:
                await provider.client.close()

    return lambda scene: asyncio.run(main(scene))


def test_a_model_that_is_down_is_skipped_and_the_next_one_answers(
    play: Callable[[Play], None], server: Server, other: Server
) -> None:
    async def scene(first: Provider, second: Provider) -> None:
        server.will(Reply(503))
        with pytest.raises(InternalServerError):
            await ask_the_first_that_is_up([first, second], "why?")
        assert (server.requests, other.requests) == (1, 0)
        assert await ask_the_first_that_is_up([first, second], "why?") == "hello"
        assert (server.requests, other.requests) == (1, 1)

    play(scene)


def test_the_client_waits_for_a_short_retry_after(play: Callable[[Play], None], server: Server) -> None:
    async def scene(first: Provider, second: Provider) -> None:
        server.will(Reply(429, {"retry-after-ms": "10"}))
        assert await first.ask("why?") == "hello"

    play(scene)
    assert server.requests == 2


def test_an_exhausted_quota_opens_the_circuit_for_its_retry_after(play: Callable[[Play], None], server: Server) -> None:
    async def scene(first: Provider, second: Provider) -> None:
        server.will(Reply(429, {"retry-after": "3600"}))
        assert await ask_the_first_that_is_up([second], "why?") == "hello"
        with pytest.raises(Exception, match="429"):
            await first.ask("why?")
        with pytest.raises(CircuitBreakerOpenError) as refused:
            await ask_the_first_that_is_up([first], "why?")
        assert 3500 < refused.value.retry_after <= 3600

    play(scene)
