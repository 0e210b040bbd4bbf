"""What counts a namespace's breakers: beside their keys, asked only when one is added."""

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
    """As if nothing had been looked up for long, those with the smallest numbers for longest."""
    for member in client.zrange(register, 0, -1):
        client.zadd(register, {member: 1.0 + float(member.rpartition(":")[2])})


def test_a_key_that_expired_makes_room(full: RedisStore, client: Any, prefix: str, register: str) -> None:
    client.delete(f"{prefix}:0")
    age(client, register)
    full.record_failure("another")
    assert client.zcard(register) == BOUND
    with pytest.raises(TooManyBreakersError):
        full.record_failure("yet another")


def test_those_that_are_there_are_asked_about_in_turn(
    full: RedisStore, client: Any, prefix: str, register: str
) -> None:
    client.delete(f"{prefix}:{BOUND - 1}")
    age(client, register)
    with pytest.raises(TooManyBreakersError):
        full.record_failure("another")
    full.record_failure("another")


def test_one_just_entered_is_given_time_to_be_written(full: RedisStore, client: Any, prefix: str) -> None:
    client.delete(f"{prefix}:0")
    with pytest.raises(TooManyBreakersError):
        full.record_failure("another")


def test_a_breaker_that_expired_itself_may_come_back(full: RedisStore, client: Any, prefix: str) -> None:
    client.delete(f"{prefix}:0")
    full.record_failure("0")
    assert full.read("0").failure_count == 1


def test_only_adding_asks_the_register(full: RedisStore, client: Any, register: str) -> None:
    with untouched(client, register):
        full.record_failure("0")
        full.reset("1")
        full.record_success("another")


def test_a_store_without_a_bound_keeps_no_register(client: Any, prefix: str, register: str) -> None:
    store = RedisStore(client, key_prefix=prefix, max_breakers=None)
    store.record_failure("b")
    store.clear("b")
    assert client.exists(register) == 0


def test_a_breaker_a_foreign_client_made_goes_on(full: RedisStore, client: Any, prefix: str) -> None:
    client.hset(f"{prefix}:foreign", mapping={"state": "closed", "failure_count": "1"})
    assert full.increment_failure("foreign") == 2


def test_any_client_can_keep_it(connect: Connect, url: str, prefix: str) -> None:
    for options in ({}, {"decode_responses": True}, {"encoding": "latin-1"}):
        store = RedisStore(connect(url, **options), key_prefix=prefix, max_breakers=1)
        store.record_failure("снова")
        with pytest.raises(TooManyBreakersError):
            store.record_failure("another")
        store.clear("снова")
