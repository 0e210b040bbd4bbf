"""Tests that run the examples of docs/protocol.md."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import redis

from cbstore_sql import SqlStore
from tests.docs.pages import blocks
from tests.system.compat.published import Published

SWAP, CARRY_OVER = blocks("docs/protocol.md", "python")


@pytest.fixture
def names(published: Published) -> dict[str, Any]:
    """The names that the examples of the page need."""
    return {
        "LLMCircuitBreaker": published.breaker.LLMCircuitBreaker,
        "config": published.breaker.LLMCircuitBreakerConfig(enabled=True, max_failures=1),
    }


def test_the_example_that_replaces_the_store_works(names: dict[str, Any], migrated_postgres_url: str) -> None:
    assert SWAP.count("postgresql://user@host/database") == 1
    exec(SWAP.replace("postgresql://user@host/database", migrated_postgres_url), names)  # noqa: S102 # our own text
    with names["store"]:
        names["breaker"].record_failure()
        assert names["breaker"].state.value == "open"
        names["store"].clear("claude")


def test_the_example_that_copies_a_breaker_works(
    published: Published, names: dict[str, Any], redis_url: str, migrated_postgres_url: str
) -> None:
    namespace = uuid.uuid4().hex
    with redis.Redis.from_url(redis_url) as client, SqlStore(migrated_postgres_url, namespace=namespace) as store:
        old_store = published.store.RedisStore(client, key_prefix=namespace)
        old_store.atomic_record_failure("gemini", 1, 60.0)
        exec(CARRY_OVER, {"old_store": old_store, "store": store})  # noqa: S102 # our own text
        assert store.get_state("gemini") == old_store.get_state("gemini")
        assert [store.get_state(name)["state"] for name in ("claude", "gemini")] == ["closed", "open"]
        old_store.clear("gemini")
