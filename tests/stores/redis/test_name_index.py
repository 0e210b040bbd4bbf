"""Tests of the index that counts the breakers of a namespace. Only the addition of a breaker uses the index."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import RedisStore, TooManyBreakersError
from cbstore_sql.stores.redis.name_index import CHECKED
from tests.stores.redis.conftest import Connect, untouched

BOUND = 2 * CHECKED


@pytest.fixture
def register(prefix: str) -> str:
    return f"{prefix}:\0names"


@pytest.fixture
def full(client: Any, prefix: str) -> RedisStore:
    store = RedisStore(client, key_prefix=prefix, max_breakers=BOUND)
    for number in range(BOUND):
        store.record_failure(str(number))
    return store


def age(client: Any, register: str) -> None:
    """Make all entries of the index old, the entries with the smallest numbers the oldest."""
    for member in client.zrange(register, 0, -1):
        client.zadd(register, {member: 1.0 + float(member.rpartition(":")[2])})


def test_an_expired_key_makes_room_for_another_breaker(
    full: RedisStore, client: Any, prefix: str, register: str
) -> None:
    client.delete(f"{prefix}:0")
    age(client, register)
    full.record_failure("another")
    assert client.zcard(register) == BOUND
    with pytest.raises(TooManyBreakersError):
        full.record_failure("yet another")


def test_each_refused_addition_checks_other_entries_of_the_index(
    full: RedisStore, client: Any, prefix: str, register: str
) -> None:
    client.delete(f"{prefix}:{BOUND - 1}")
    age(client, register)
    with pytest.raises(TooManyBreakersError):
        full.record_failure("another")
    full.record_failure("another")


def test_a_new_entry_of_the_index_without_a_key_is_not_removed_at_once(
    full: RedisStore, client: Any, prefix: str
) -> None:
    client.delete(f"{prefix}:0")
    with pytest.raises(TooManyBreakersError):
        full.record_failure("another")


def test_an_expired_breaker_can_be_written_again_in_a_full_namespace(
    full: RedisStore, client: Any, prefix: str
) -> None:
    client.delete(f"{prefix}:0")
    full.record_failure("0")
    assert full.read("0").failure_count == 1


def test_only_the_addition_of_a_breaker_uses_the_index(full: RedisStore, client: Any, register: str) -> None:
    with untouched(client, register):
        full.record_failure("0")
        full.reset("1")
        full.record_success("another")


def test_a_store_without_a_limit_keeps_no_index(client: Any, prefix: str, register: str) -> None:
    store = RedisStore(client, key_prefix=prefix, max_breakers=None)
    store.record_failure("b")
    store.clear("b")
    assert client.exists(register) == 0


def test_a_breaker_made_by_a_foreign_client_works_in_a_full_namespace(
    full: RedisStore, client: Any, prefix: str
) -> None:
    client.hset(f"{prefix}:foreign", mapping={"state": "closed", "failure_count": "1"})
    assert full.increment_failure("foreign") == 2


def test_the_index_works_with_every_encoding_of_the_client(connect: Connect, url: str, prefix: str) -> None:
    for options in ({}, {"decode_responses": True}, {"encoding": "latin-1"}):
        store = RedisStore(connect(url, **options), key_prefix=prefix, max_breakers=1)
        store.record_failure("снова")
        with pytest.raises(TooManyBreakersError):
            store.record_failure("another")
        store.clear("снова")
