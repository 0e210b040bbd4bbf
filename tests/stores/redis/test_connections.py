"""A store uses the connections of its own client directly, and they stay sound whatever happens on them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from cbstore_sql import AsyncRedisStore, RedisStore
from cbstore_sql.stores.redis.connections import Connections, are_usable
from tests.stores.redis.conftest import Connect


@pytest.fixture
def own(redis_url: str, prefix: str) -> Iterator[RedisStore]:
    with RedisStore.from_url(f"{redis_url}?max_connections=1", key_prefix=prefix) as store:
        yield store


@pytest.fixture
def connections(own: RedisStore) -> Connections:
    assert own._own is not None
    return own._own


def identity(connections: Connections) -> int:
    number: int = connections.send(("CLIENT", "ID"))
    return number


def test_a_pool_of_one_connection_is_enough_for_every_operation(own: RedisStore) -> None:
    for count in (1, 2):
        assert own.increment_failure("b") == count
        assert own.read("b").failure_count == count
        assert own.history("b") == ()
        assert own.read("b", now=1.0).failure_count == count
        own.check_writable()
        assert [snapshot.name for _, snapshot in own.read_all()] == ["b"]
    own.clear("b")


def test_a_pool_of_one_connection_is_enough_for_an_asynchronous_store(redis_url: str, prefix: str) -> None:
    async def operate() -> None:
        async with AsyncRedisStore.from_url(f"{redis_url}?max_connections=1", key_prefix=prefix) as store:
            for count in (1, 2):
                await store.record_failure("b")
                assert (await store.read("b")).failure_count == count
                assert await store.history("b") == ()
                assert [snapshot.name for _, snapshot in await store.read_all()] == ["b"]

    asyncio.run(operate())


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next_one(
    own: RedisStore, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.record_failure("b")
    before = identity(connections)

    def interrupted(**_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connections._free[0], "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            own.record_failure("b")
    assert own.read("b").failure_count == 2
    assert identity(connections) != before


def test_an_error_of_the_server_keeps_the_connection(connections: Connections) -> None:
    before = identity(connections)
    with pytest.raises(redis.ResponseError):
        connections.send(("EVALSHA", "0" * 40, 1, "k"))
    assert identity(connections) == before


def test_a_forked_process_leaves_its_parents_connections_alone(own: RedisStore, connections: Connections) -> None:
    before = identity(connections)
    parents = connections._free
    connections._process = -1
    own._client.connection_pool.pid = -1
    assert identity(connections) != before
    assert len(parents) == 1


def test_a_client_of_the_caller_sees_every_command(connect: Connect, redis_url: str, prefix: str) -> None:
    client = connect(redis_url)
    seen = []
    execute = client.execute_command

    def noted(*command: Any, **options: Any) -> Any:
        seen.append(command[0])
        return execute(*command, **options)

    client.execute_command = noted
    store = RedisStore(client, key_prefix=prefix, max_breakers=None)
    store.record_failure("b")
    store.read("b")
    assert [name for name in seen if name != "SCRIPT LOAD"][-2:] == ["EVALSHA", "EVALSHA"]


class PoolOfAnOlderVersion:
    """The connection pool of redis-py 5.0, which wants the name of the command."""

    connection_class = redis.Connection

    def get_connection(self, command_name: str) -> None:
        raise NotImplementedError


def test_the_pool_of_an_older_redis_py_is_used_through_its_client(redis_url: str) -> None:
    assert not are_usable(PoolOfAnOlderVersion())
    with redis.Redis.from_url(redis_url) as client:
        assert are_usable(client.connection_pool)
