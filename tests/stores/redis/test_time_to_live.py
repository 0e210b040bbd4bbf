"""A key expires when its breaker no longer matters. A read never prolongs its life."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, ConfigurationError, RedisStore
from tests.stores.redis.conftest import untouched

ONE_FAILURE = BreakerPolicy(failure_threshold=1, recovery_timeout=1000.0, probe_lease=499.5)


def seconds_left(client: Any, key: str) -> int:
    """Return the rounded seconds until the key expires."""
    milliseconds: int = client.pttl(key)
    return math.ceil(milliseconds / 1000)


@pytest.mark.parametrize("ttl", [1, 100, 7200])
def test_the_key_of_a_closed_breaker_expires_after_the_ttl(client: Any, prefix: str, key: str, ttl: int) -> None:
    RedisStore(client, ttl, prefix).record_failure("b", now=1000.0)
    assert seconds_left(client, key) == ttl


@pytest.mark.parametrize(("ttl", "rest"), [(1, 60), (60, 60), (100, 100)])
def test_the_key_of_an_open_breaker_outlives_the_open_time(
    client: Any, prefix: str, key: str, ttl: int, rest: int
) -> None:
    RedisStore(client, ttl, prefix).record_failure("b", ONE_FAILURE, now=1000.5)
    assert seconds_left(client, key) == 1000 + rest
    RedisStore(client, ttl, prefix).force_open("b", 1000.2, now=1000.5)
    assert seconds_left(client, key) == 1001 + rest


def test_the_key_of_a_breaker_whose_open_time_is_over_lives_for_the_ttl(
    store: RedisStore, client: Any, key: str
) -> None:
    store.set_state("b", {"state": "open", "open_until": 1000.0})
    assert seconds_left(client, key) == 3600


@pytest.mark.parametrize(
    ("lives", "expected"), [((1, None), 560), ((700, None), 700), ((1, 900), 900), ((700, 1), 700)]
)
def test_the_key_of_a_breaker_with_a_probe_outlives_the_lease(
    client: Any, prefix: str, key: str, lives: tuple[int, int | None], expected: int
) -> None:
    ttl, probe_ttl = lives
    store = RedisStore(client, ttl, prefix, probe_ttl)
    store.force_open("b", 0.0, now=1000.0)
    assert store.claim_probe("b", ONE_FAILURE, now=1000.0)
    assert seconds_left(client, key) == expected


def test_renewing_and_releasing_a_probe_change_the_expiry_of_the_key(client: Any, prefix: str, key: str) -> None:
    store = RedisStore(client, 10, prefix, half_open_probe_ttl=900)
    store.force_open("b", 0.0, now=1000.0)
    claim = store.claim_probe("b", ONE_FAILURE, now=1000.0)
    assert claim
    store.renew_probe(claim.permit, BreakerPolicy(probe_lease=2000.0), now=1000.0)
    assert seconds_left(client, key) == 2060
    store.release_probe(claim.permit, now=1000.0)
    assert seconds_left(client, key) == 10


def test_a_key_without_ttl_never_expires(client: Any, prefix: str, key: str) -> None:
    RedisStore(client, 50, prefix).record_failure("b")
    assert seconds_left(client, key) == 50
    store = RedisStore(client, None, prefix, half_open_probe_ttl=5)
    store.force_open("b", 0.0, now=1000.0)
    assert client.pttl(key) == -1
    store.claim_probe("b", now=1000.0)
    assert client.pttl(key) == -1


def test_a_count_never_shortens_the_life_of_the_key(client: Any, prefix: str, key: str) -> None:
    store = RedisStore(client, 10, prefix)
    store.increment_failure("b")
    assert seconds_left(client, key) == 10
    client.expire(key, 5000)
    store.increment_failure("b")
    assert seconds_left(client, key) == 5000
    client.persist(key)
    store.increment_failure("b")
    assert client.pttl(key) == -1


def test_reads_and_operations_without_effect_write_nothing(store: RedisStore, client: Any, key: str) -> None:
    before = store.read("b").permit
    store.record_failure("b", ONE_FAILURE, now=1000.0)
    with untouched(client, key):
        store.read("b")
        store.get_state("b")
        assert store.claim_probe("b", now=1001.0) is None
        assert store.record_failure(before, now=1001.0) is None
        assert store.record_success("b", now=1001.0) is None
        assert store.cas_state("b", "closed", {"state": "open"}) is False


def test_operations_without_effect_do_not_create_a_key(store: RedisStore, client: Any, key: str) -> None:
    with untouched(client, key):
        assert store.record_success("b") is None
        assert store.claim_probe("b") is None
        store.read("b")
    assert client.exists(key) == 0


@pytest.mark.parametrize("label", ["ttl", "half_open_probe_ttl"])
@pytest.mark.parametrize("seconds", [0, -1, 1.5, True, "60", 10**9 + 1], ids=repr)
def test_a_ttl_that_is_not_a_whole_number_of_seconds_is_refused(client: Any, label: str, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=label):
        RedisStore(client, **{label: seconds})
