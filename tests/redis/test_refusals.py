"""What real servers refuse becomes the library's errors, and what is known about the effect is said."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis import exceptions

from cbstore_sql import BreakerPolicy, RedisStore, StoreError, StoreUnavailableError
from cbstore_sql.stores.redis.errors import translated
from tests.redis.conftest import Connect

RIGHTS = "+evalsha +script|load +hgetall +hset +pttl +expire +persist +time +del"
RIGHTS_WITHOUT_SCRIPTING = "+watch +unwatch +multi +exec +hgetall +hset +pttl +expire +persist +time +del"
WRITES: list[Callable[[RedisStore], Any]] = [
    lambda store: store.record_failure("b"),
    lambda store: store.increment_failure("b"),
    lambda store: store.force_open("b", 1.0),
    lambda store: store.set_state("b", {"state": "open"}),
]


def refused(store: RedisStore, applied: bool | None = False) -> str:
    """Every write is refused with the same message; return it."""
    messages = set()
    for write in WRITES:
        with pytest.raises(StoreUnavailableError) as raised:
            write(store)
        assert raised.value.applied is applied
        assert isinstance(raised.value.__cause__, exceptions.RedisError)
        messages.add(str(raised.value))
    assert len(messages) == 1
    return messages.pop()


def test_a_read_only_replica_is_read_and_refuses_writes(connect: Connect, private_url: str) -> None:
    client = connect(private_url)
    store = RedisStore(client)
    store.record_failure("b")
    client.replicaof("127.0.0.1", 1)
    assert store.read("b").failure_count == 1
    assert store.claim_probe("b") is None
    assert refused(store) == "the Redis server takes no such command now (READONLY)"
    client.replicaof("NO", "ONE")
    assert store.increment_failure("b") == 2


def test_a_full_server_is_read_and_refuses_writes(connect: Connect, private_url: str) -> None:
    client = connect(private_url)
    store = RedisStore(client)
    store.record_failure("b")
    client.config_set("maxmemory", 1)
    assert store.read("b").failure_count == 1
    assert refused(store) == "the Redis server takes no such command now (OOM)"
    client.config_set("maxmemory", 0)
    assert store.increment_failure("b") == 2


def test_a_stopped_server_cannot_be_reached(connect: Connect, private_url: str) -> None:
    client = connect(private_url)
    store = RedisStore(client)
    store.record_failure("b")
    client.shutdown(nosave=True)
    message = "the Redis server cannot be reached or does not answer (ConnectionError)"
    assert refused(store) == message
    for operation in (store.read, store.clear, store.claim_probe):
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            operation("b")


def test_of_a_client_that_repeats_commands_nothing_is_known(connect: Connect, private_url: str) -> None:
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 1)
    client = connect(private_url, retry=retry)
    store = RedisStore(client)
    store.read("b")
    client.config_set("maxmemory", 1)
    refused(store, applied=None)
    client.shutdown(nosave=True)
    refused(store, applied=None)


def test_after_a_reply_that_did_not_come_nothing_is_known(connect: Connect, private_url: str) -> None:
    admin = connect(private_url)
    store = RedisStore(connect(private_url, socket_timeout=0.05))
    store.read("b")
    admin.client_pause(60_000, all=False)
    message = "the Redis server cannot be reached or does not answer (TimeoutError)"
    assert refused(store, applied=None) == message
    admin.client_unpause()
    assert store.read("b").failure_count in range(3)


def test_a_pool_without_a_free_connection(connect: Connect, redis_url: str, prefix: str) -> None:
    client = connect(redis_url, max_connections=1)
    store = RedisStore(client, key_prefix=prefix)
    held = client.connection_pool.get_connection()
    assert refused(store) == "no connection to Redis became free in the pool"
    client.connection_pool.release(held)
    assert store.increment_failure("b") == 1


def limited(connect: Connect, url: str, rights: str, keys: str = "massgen:cb:*") -> RedisStore:
    """A store whose user may touch only these keys with only these commands."""
    name, password = f"user-{secrets.token_hex(4)}", secrets.token_hex(8)
    connect(url).execute_command("ACL", "SETUSER", name, "on", f">{password}", f"~{keys}", *rights.split())
    server = url.rpartition("@")[2]
    return RedisStore(connect(f"redis://{name}:{password}@{server}"))


@pytest.mark.parametrize("rights", [RIGHTS.replace("+hset", ""), RIGHTS.replace("+evalsha", ""), RIGHTS])
def test_a_user_without_the_rights_gets_an_error_and_no_fallback(
    connect: Connect, private_url: str, rights: str
) -> None:
    keys = "other:*" if rights == RIGHTS else "massgen:cb:*"
    store = limited(connect, private_url, rights, keys)
    for write in WRITES:
        with pytest.raises(StoreError, match=r"^the Redis user may not use a command or key .*\(NOPERM\)$"):
            write(store)
    assert store._has_scripting


def test_the_documented_rights_are_enough(connect: Connect, private_url: str) -> None:
    store = limited(connect, private_url, RIGHTS)
    use_everything(store)


def test_the_documented_rights_are_enough_without_scripting(connect: Connect, scriptless_redis_url: str) -> None:
    store = limited(connect, scriptless_redis_url, RIGHTS_WITHOUT_SCRIPTING)
    use_everything(store)


def use_everything(store: RedisStore) -> None:
    forever = RedisStore(store._client, ttl=None)
    store.record_failure("b", BreakerPolicy(failure_threshold=1), now=1000.0)
    claim = forever.claim_probe("b", now=2000.0)
    assert claim
    assert forever.renew_probe(claim.permit, now=2001.0)
    assert store.record_success(claim.permit)
    assert store.increment_failure("b") == 1
    store.clear("b")
    assert store.read("b").generation == 0


def test_a_password_that_is_wrong_reaches_no_server(connect: Connect, private_url: str) -> None:
    store = RedisStore(connect(private_url.replace("redis://:", "redis://:x")))
    with pytest.raises(StoreUnavailableError, match=r"\(AuthenticationError\)$") as raised:
        store.record_failure("b")
    assert raised.value.applied is False


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "now (BUSY)"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "now (MISCONF)"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "now (LOADING)"),
        (exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"), "now (CLUSTERDOWN)"),
        (exceptions.RedisClusterException("no node answers"), "(RedisClusterException)"),
        (exceptions.DataError("secret"), "refused the command (DataError)"),
        (exceptions.ResponseError("ERR secret"), "refused the command (ResponseError)"),
    ],
)
def test_an_error_tells_its_kind_and_not_its_text(error: Exception, text: str) -> None:
    with pytest.raises(StoreError) as raised, translated(None):
        raise error
    assert str(raised.value).endswith(text)
    assert raised.value.__cause__ is error


def test_what_is_no_error_of_redis_passes() -> None:
    with pytest.raises(KeyError), translated(None):
        raise KeyError("mine")
