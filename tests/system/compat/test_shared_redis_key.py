"""While a team migrates, the published Redis store and ours work on the same keys."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from cbstore_sql import RedisStore
from cbstore_sql.core.validation import MAX_SECONDS
from cbstore_sql.stores.dict_protocol import CircuitBreakerStore
from tests.system.compat.calls import random_calls
from tests.system.compat.clock import Clock, go_by
from tests.system.compat.published import Published


@pytest.fixture(params=["redis_url", "scriptless_redis_url"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(request.getfixturevalue(request.param)) as client:
        yield client


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def theirs(published: Published, client: redis.Redis, prefix: str) -> Any:
    return published.store.RedisStore(client, key_prefix=prefix)


@pytest.fixture
def ours(client: redis.Redis, prefix: str) -> RedisStore:
    return RedisStore(client, key_prefix=prefix, protocol_probe_lease=MAX_SECONDS)


def test_calls_through_both_stores_share_one_breaker(
    published: Published, theirs: Any, ours: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The published store writes 14 digits of a time. A quarter of a second fits into these digits.
    clock = Clock()
    monkeypatch.setattr(published.store, "time", SimpleNamespace(time=clock))
    go_by(clock, ours, monkeypatch)
    reference: CircuitBreakerStore = published.store.InMemoryStore()
    rng = random.Random(2)
    for number, (method, name, arguments) in enumerate(random_calls(2, clock, calls=1500, tick=0.25)):
        store = rng.choice((theirs, ours))
        told = f"call {number}: {type(store)}.{method}({name!r}, {arguments!r}) at {clock.now!r}"
        assert getattr(store, method)(name, *arguments) == getattr(reference, method)(name, *arguments), told
        assert theirs.get_state(name) == ours.get_state(name) == reference.get_state(name), told


def test_a_probe_claimed_through_one_store_is_refused_through_the_other(theirs: Any, ours: RedisStore) -> None:
    for claimant, other in ((theirs, ours), (ours, theirs)):
        claimant.set_state("claude", {"state": "open", "open_until": 10.0})
        assert claimant.try_transition_and_claim_probe("claude", 11.0, 60.0)[0] is True
        assert other.try_transition_and_claim_probe("claude", 11.0, 60.0)[0] is False
