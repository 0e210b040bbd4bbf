"""Tests of the Redis store apart from its operations: clients, keys, scripts, URLs."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, ConfigurationError, InvalidNameError, RedisStore, make_store
from tests.stores.redis.conftest import Connect

POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0)


@pytest.mark.parametrize("options", [{}, {"decode_responses": True}, {"protocol": 3}, {"encoding": "latin-1"}], ids=str)
def test_the_store_works_with_every_encoding_of_the_client(
    connect: Connect, url: str, prefix: str, options: dict[str, Any]
) -> None:
    store = RedisStore(connect(url, **options), key_prefix=prefix)
    token = "zoë's %41 probe / 1"
    store.record_failure("ключ", POLICY, now=1000.1)
    claim = store.claim_probe("ключ", token=token, now=1060.1)
    assert claim
    assert store.read("ключ").probe_token == token
    assert store.record_success(claim.permit)


def test_the_store_uses_the_clock_of_the_server(store: RedisStore, client: Any) -> None:
    before, after = client.time(), store.read("b").as_of
    report = store.record_failure("b")
    assert report
    seconds, micros = client.time()
    assert before[0] + before[1] / 1e6 <= after <= report.snapshot.last_failure_time <= seconds + micros / 1e6


def test_scripts_flushed_from_the_server_are_sent_again(connect: Connect, redis_url: str, prefix: str) -> None:
    client = connect(redis_url)
    store = RedisStore(client, key_prefix=prefix)
    for count in (1, 2):
        client.script_flush()
        assert store.increment_failure("b") == count
        client.script_flush()
        assert store.read("b").failure_count == count


def test_the_default_namespace_has_the_keys_of_the_prefix(client: Any, prefix: str) -> None:
    RedisStore(client, key_prefix=prefix).record_failure("b:c")
    RedisStore(client, key_prefix=prefix, namespace="a:é/%").record_failure("b:c")
    ours = [f"{place}:{name}" for place in (prefix, f"{prefix}@a%3A%C3%A9%2F%25") for name in ("\0names", "b:c")]
    assert sorted(client.scan_iter(f"{prefix}*")) == ours


def test_no_two_breakers_of_a_prefix_share_a_key(client: Any, prefix: str) -> None:
    namespaces = ["default", "", "a", "a:b", "a%3Ab", "A", "@a", ":", "default:"]
    names = ["", "b", "b:c", ":b", "@a:b", "a:b:c"]
    for namespace in namespaces:
        store = RedisStore(client, key_prefix=prefix, namespace=namespace)
        assert [store.increment_failure(name) for name in names] == [1] * len(names)


def test_stores_with_different_prefixes_share_no_breaker(client: Any, prefix: str) -> None:
    first, second = RedisStore(client, key_prefix=prefix), RedisStore(client, key_prefix=f"{prefix}2")
    first.increment_failure("b")
    assert second.read("b").failure_count == 0


def test_a_store_needs_a_client() -> None:
    with pytest.raises(ConfigurationError, match="redis_client is required for RedisStore"):
        RedisStore(None)


@pytest.mark.parametrize("prefix", ["a\x00", "\ud800", "x" * 513, 7], ids=repr)
def test_an_invalid_key_prefix_is_refused(client: Any, prefix: Any) -> None:
    with pytest.raises(InvalidNameError, match="key_prefix"):
        RedisStore(client, key_prefix=prefix)


def test_neither_repr_nor_errors_show_a_url(client: Any, url: str) -> None:
    assert repr(RedisStore(client, namespace="n")) == "RedisStore(key_prefix='massgen:cb', namespace='n')"
    for bad in ("redis://:s3cret/x@host", "redis://:s3cret@host:port/0", "redis://:s3cret@host/?socket_timeout=soon"):
        with pytest.raises(ConfigurationError) as raised:
            make_store(bad)
        assert "s3cret" not in str(raised.value)
        assert raised.value.__suppress_context__


def test_a_store_closes_the_client_it_opened_and_no_other(connect: Connect, client: Any, url: str, prefix: str) -> None:
    def connected(name: str) -> bool:
        # The server notices the end of a connection after a while. Each check is a round trip.
        return all(any(found["name"] == name for found in client.client_list()) for _ in range(500))

    lent = connect(url, client_name=f"{prefix}-lent")
    with make_store(f"{url}?client_name={prefix}-own", key_prefix=prefix) as own:
        own.record_failure("b")
        with RedisStore(lent, key_prefix=prefix) as borrowing:
            assert borrowing.read("b").failure_count == 1
        assert connected(f"{prefix}-own")
    assert not connected(f"{prefix}-own")
    assert connected(f"{prefix}-lent")


def test_the_private_attributes_of_massgen_s_store_exist(client: Any) -> None:
    store = RedisStore(client, ttl=60, key_prefix="p")
    assert (store._client, store._ttl, store._key_prefix) == (client, 60, "p")


def test_a_client_made_from_a_url_sends_each_command_once(url: str) -> None:
    with RedisStore.from_url(url) as store:
        assert store._client.get_retry().get_retries() == 0


def test_an_idle_connection_that_the_server_closed_is_replaced_without_an_error(
    client: Any, url: str, prefix: str
) -> None:
    with RedisStore.from_url(f"{url}?client_name={prefix}", key_prefix=prefix) as store:
        assert store.increment_failure("b") == 1
        ids = [found["id"] for found in client.client_list() if found["name"] == prefix]
        assert [client.client_kill_filter(_id=id_) for id_ in ids] == [1] * len(ids) != []
        assert store.increment_failure("b") == 2
