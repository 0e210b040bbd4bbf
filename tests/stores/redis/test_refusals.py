"""Refusals of real servers become errors of the library, which say whether the command had an effect."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis import exceptions

from cbstore_sql import BreakerPolicy, RedisStore, StoreError, StoreUnavailableError
from cbstore_sql.stores.redis.errors import translated
from tests.docs.pages import blocks
from tests.stores.redis.conftest import Connect
from tests.system.faults.proxy import FaultProxy

RIGHTS = (
    "+hget +hgetall +hset +pttl +expire +persist +time +del +exists +zadd +zcard +zscore +zrangebyscore +zrem +setrange"
)
SCRIPTING_RIGHTS = {True: "+evalsha +script|load", False: "+watch +unwatch +multi +exec"}
WRITES: list[Callable[[RedisStore], Any]] = [
    lambda store: store.record_failure("b"),
    lambda store: store.increment_failure("b"),
    lambda store: store.force_open("b", 1.0),
    lambda store: store.set_state("b", {"state": "open"}),
]


def refused(store: RedisStore, applied: bool | None = False) -> str:
    """Check that every write is refused with the same message, and return the message."""
    messages = set()
    for write in [*WRITES, RedisStore.check_writable]:
        with pytest.raises(StoreUnavailableError) as raised:
            write(store)
        assert raised.value.applied is applied
        assert isinstance(raised.value.__cause__, exceptions.RedisError)
        messages.add(str(raised.value))
    assert len(messages) == 1
    return messages.pop()


def test_a_read_only_replica_answers_reads_and_its_refused_writes_raise_an_error(
    connect: Connect, private_url: str
) -> None:
    client = connect(private_url)
    store = RedisStore(client)
    store.record_failure("b")
    client.replicaof("127.0.0.1", 1)
    assert store.read("b").failure_count == 1
    assert store.claim_probe("b") is None
    assert refused(store) == "the Redis server takes no such command now (READONLY)"
    client.replicaof("NO", "ONE")
    assert store.increment_failure("b") == 2


def test_a_full_server_answers_reads_and_its_refused_writes_raise_an_error(connect: Connect, private_url: str) -> None:
    client = connect(private_url)
    store = RedisStore(client)
    store.record_failure("b")
    client.config_set("maxmemory", 1)
    assert store.read("b").failure_count == 1
    assert refused(store) == "the Redis server takes no such command now (OOM)"
    client.config_set("maxmemory", 0)
    assert store.increment_failure("b") == 2


def test_a_stopped_server_raises_store_unavailable_error(connect: Connect, private_url: str) -> None:
    client = connect(private_url)
    store = RedisStore(client)
    store.record_failure("b")
    client.shutdown(nosave=True)
    message = "the Redis server cannot be reached or does not answer (ConnectionError)"
    assert refused(store) == message
    for operation in (store.read, store.clear, store.claim_probe):
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            operation("b")


def test_with_a_client_that_repeats_commands_the_effect_of_an_error_is_unknown(
    connect: Connect, private_url: str
) -> None:
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 1)
    client = connect(private_url, retry=retry)
    store = RedisStore(client)
    store.read("b")
    client.config_set("maxmemory", 1)
    refused(store, applied=None)
    client.shutdown(nosave=True)
    refused(store, applied=None)


@pytest.mark.parametrize("around", [None, KeyError("handled meanwhile"), exceptions.ConnectionError("another")])
def test_a_count_whose_reply_is_lost_has_an_unknown_effect_and_is_not_repeated(
    connect: Connect, url: str, prefix: str, around: Exception | None
) -> None:
    direct = RedisStore(connect(url), key_prefix=prefix)
    with FaultProxy(url) as proxy:
        store = RedisStore(connect(proxy.url(url)), key_prefix=prefix)
        assert store.increment_failure("b") == 1
        proxy.lose_reply_to(b"EXEC", b"EVALSHA")
        with pytest.raises(StoreUnavailableError, match="cannot be reached or does not answer") as raised:
            while_handling(around, lambda: store.increment_failure("b"))
        assert raised.value.applied is None
        assert direct.read("b").failure_count == 2
        assert store.increment_failure("b") == 3


def while_handling(around: Exception | None, call: Callable[[], Any]) -> None:
    """Call as an application does that reports the failure it is handling."""
    if around is None:
        call()
        return
    try:
        raise around
    except (KeyError, exceptions.ConnectionError):
        call()


def test_a_full_pool_raises_an_error_that_names_the_pool(connect: Connect, redis_url: str, prefix: str) -> None:
    client = connect(redis_url, max_connections=1)
    store = RedisStore(client, key_prefix=prefix)
    held = client.connection_pool.get_connection()
    assert refused(store) == "no connection to Redis became free in the pool"
    client.connection_pool.release(held)
    assert store.increment_failure("b") == 1


Limited = Callable[..., RedisStore]


@pytest.fixture
def limited(connect: Connect, private_url: str, request: pytest.FixtureRequest) -> Limited:
    """A function that makes a store whose user has all documented rights except one."""
    rights = f"{RIGHTS} {SCRIPTING_RIGHTS[request.node.callspec.params['private_url']]}"

    def open_store(*, without: str = "", prefix: str = "massgen:cb") -> RedisStore:
        name, password = f"user-{secrets.token_hex(4)}", secrets.token_hex(8)
        granted = [right for right in rights.split() if right != f"+{without}"]
        connect(private_url).execute_command("ACL", "SETUSER", name, "on", f">{password}", f"~{prefix}:*", *granted)
        return RedisStore(connect(f"redis://{name}:{password}@{private_url.rpartition('@')[2]}"))

    return open_store


def test_the_security_page_lists_the_rights_that_these_tests_use() -> None:
    (shown,) = (block for block in blocks("docs/security.md", "text") if block.startswith("ACL"))
    granted = [word for word in shown.split() if word.startswith("+")]
    assert granted == [*RIGHTS.split(), *SCRIPTING_RIGHTS[True].split()]


@pytest.mark.parametrize("lack", [{"without": "hset"}, {"without": "hgetall"}, {"prefix": "other"}], ids=str)
def test_a_missing_right_raises_an_error_that_names_the_cause(limited: Limited, lack: dict[str, str]) -> None:
    store = limited(**lack)
    for write in WRITES:
        with pytest.raises(StoreError, match=r"^the Redis user may not use a command or key .*\(NOPERM\)$"):
            write(store)


@pytest.mark.parametrize("private_url", [True], indirect=True)
def test_a_missing_right_for_scripts_raises_an_error_without_a_fallback(limited: Limited) -> None:
    store = limited(without="evalsha")
    for _ in range(2):
        with pytest.raises(StoreError, match="NOPERM"):
            store.read("b")


def test_check_writable_succeeds_if_the_user_lacks_the_right_for_its_command(limited: Limited) -> None:
    limited(without="setrange").check_writable()


def test_the_documented_rights_are_enough(limited: Limited) -> None:
    store = limited()
    forever = RedisStore(store._client, ttl=None)
    store.record_failure("b", BreakerPolicy(failure_threshold=1), now=1000.0)
    assert store.history("b")
    claim = forever.claim_probe("b", now=2000.0)
    assert claim
    assert forever.renew_probe(claim.permit, now=2001.0)
    assert store.record_success(claim.permit)
    assert store.increment_failure("b") == 1
    store.clear("b")
    assert store.read("b").generation == 0
    store.check_writable()


def test_a_wrong_password_raises_an_error_without_an_effect(connect: Connect, private_url: str) -> None:
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
        (exceptions.TimeoutError("Timeout reading from secret"), "does not answer (TimeoutError)"),
        (exceptions.DataError("secret"), "refused the command (DataError)"),
        (exceptions.ResponseError("ERR secret"), "refused the command (ResponseError)"),
    ],
)
def test_a_translated_error_shows_the_kind_and_not_the_text_of_the_redis_error(error: Exception, text: str) -> None:
    with pytest.raises(StoreError) as raised, translated(None):
        raise error
    assert str(raised.value).endswith(text)
    assert raised.value.__cause__ is error


def test_an_exception_that_is_not_from_redis_is_not_translated() -> None:
    with pytest.raises(KeyError), translated(None):
        raise KeyError("mine")
