"""A full namespace begins no outage: calls continue, and existing breakers work."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    InMemoryStore,
    LLMCircuitBreaker,
    LLMCircuitBreakerConfig,
    SqlStore,
    State,
)
from cbstore_sql.events import BreakerEvent, StoreDegraded
from cbstore_sql.stores.base import Store

POLICY = BreakerPolicy(failure_threshold=2)
# These tests need a store that answers, also on a busy machine.
PATIENT = 60.0

OUTAGE_POLICIES = ["local", "allow", "block", "raise"]


class UpstreamError(Exception):
    """The dependency failed."""


class RateLimitError(UpstreamError):
    """The error of a service that asks clients to wait for an hour."""

    status_code = 429
    response = type("Response", (), {"status_code": 429, "headers": {"retry-after": "3600"}})()


def fail() -> None:
    raise UpstreamError


async def fail_async() -> None:
    raise UpstreamError


def degraded(events: list[BreakerEvent]) -> list[BreakerEvent]:
    return [event for event in events if isinstance(event, StoreDegraded)]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def full(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store whose namespace has its only allowed breaker."""
    if request.param == "memory":
        opened: Store = InMemoryStore(max_breakers=1)
    else:
        fixture = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}[request.param]
        opened = SqlStore(request.getfixturevalue(fixture), namespace=uuid.uuid4().hex, max_breakers=1)
    with opened as store:
        store.record_failure("there", POLICY)
        yield store


@pytest.mark.parametrize("policy", OUTAGE_POLICIES)
def test_calls_of_a_breaker_beyond_the_limit_are_made_and_their_outcomes_reach_the_caller(
    full: Store, policy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[BreakerEvent] = []
    with CircuitBreaker(
        full, POLICY, on_store_outage=policy, listeners=[events.append], store_timeout=PATIENT
    ) as breaker:
        for _ in range(5):
            assert breaker.call("another", lambda: 42) == 42
            with pytest.raises(UpstreamError):
                breaker.call("another", fail)
    assert degraded(events) == []
    assert len(caplog.records) == 1, "that the namespace is full is said once"


@pytest.mark.parametrize("policy", OUTAGE_POLICIES)
def test_an_existing_breaker_opens_in_a_full_namespace(full: Store, policy: Any) -> None:
    with CircuitBreaker(full, POLICY, on_store_outage=policy, store_timeout=PATIENT) as breaker:
        for name in ("another", "there"):
            with pytest.raises(UpstreamError):
                breaker.call(name, fail)
        with pytest.raises(CircuitBreakerOpenError):
            breaker.call("there", lambda: 42)
        assert full.read("there").state is State.OPEN


def test_awaited_calls_of_a_breaker_beyond_the_limit_are_made(migrated_postgres_url: str) -> None:
    events: list[BreakerEvent] = []

    async def run() -> None:
        store = AsyncSqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex, max_breakers=1)
        async with AsyncCircuitBreaker(store, POLICY, listeners=[events.append], store_timeout=PATIENT) as breaker:
            for name in ("there", "another"):
                with pytest.raises(UpstreamError):
                    await breaker.call(name, fail_async)
        await store.close()

    asyncio.run(run())
    assert degraded(events) == []


def test_a_rate_limit_that_cannot_be_stored_begins_no_outage(full: Store) -> None:
    events: list[BreakerEvent] = []

    async def refuse() -> None:
        raise RateLimitError

    config = LLMCircuitBreakerConfig(enabled=True)
    breaker = LLMCircuitBreaker(
        config, backend_name="another", store=full, listeners=[events.append], store_timeout=PATIENT
    )
    with pytest.raises(RateLimitError):
        asyncio.run(breaker.call_with_retry(refuse))
    assert degraded(events) == []
