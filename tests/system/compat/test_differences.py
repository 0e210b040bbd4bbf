"""Tests of the deliberate differences from the published stores. docs/protocol.md gives the reasons."""

from __future__ import annotations

import math
import time
import uuid
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cbstore_sql import (
    InvalidNameError,
    InvalidPolicyError,
    InvalidStateError,
    RedisStore,
    StoreConflictError,
    StoreUnavailableError,
    make_store,
)
from cbstore_sql.stores.dict_protocol import CircuitBreakerStore, ProtocolStore
from tests.stores.contract.backends import Backend
from tests.system.compat.clock import Clock, go_by
from tests.system.compat.published import Published

LEASE = 30.0
OPEN = {"state": "open", "failure_count": 5, "open_until": 1000.0}

BAD_INPUT: list[tuple[str, tuple[Any, ...], type[Exception]]] = [
    ("get_state", ("x" * 513,), InvalidNameError),
    ("get_state", ("nul\x00",), InvalidNameError),
    ("get_state", ("\ud800",), InvalidNameError),
    ("get_state", (7,), InvalidNameError),
    ("set_state", ("b", {"state": "ajar"}), InvalidStateError),
    ("set_state", ("b", {"failure_count": -1}), InvalidStateError),
    ("set_state", ("b", {"failure_count": "3"}), InvalidStateError),
    ("set_state", ("b", {"open_until": math.inf}), InvalidStateError),
    ("set_state", ("b", {"open_until": None}), InvalidStateError),
    ("set_state", ("b", {"last_failure_time": -1.0}), InvalidStateError),
    ("set_state", ("b", {"half_open_probe_active": "False"}), InvalidStateError),
    ("cas_state", ("b", "closed", {"state": "ajar"}), InvalidStateError),
    ("cas_state", ("b", "closed", {"open_until": math.nan}), InvalidStateError),
    ("atomic_record_failure", ("b", 0, 60.0), InvalidPolicyError),
    ("atomic_record_failure", ("b", 2.5, 60.0), InvalidPolicyError),
    ("atomic_record_failure", ("b", 5, -1.0), InvalidPolicyError),
    ("atomic_record_failure", ("b", 5, math.nan), InvalidPolicyError),
    ("atomic_record_failure", ("b", 5, math.inf), InvalidPolicyError),
    ("try_transition_and_claim_probe", ("b", -1.0, 60.0), InvalidStateError),
    ("try_transition_and_claim_probe", ("b", math.inf, 60.0), InvalidStateError),
]


def claim(store: CircuitBreakerStore, now: float) -> bool:
    return store.try_transition_and_claim_probe("b", now, 60.0)[0]


def probe_active(store: CircuitBreakerStore) -> Any:
    return store.get_state("b")["half_open_probe_active"]


@pytest.fixture
def leased(backend: Backend, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store with the clock of the test, whose probes have a lease."""
    with backend.open(protocol_probe_lease=LEASE) as store:
        go_by(clock, store, monkeypatch)
        yield store


def test_an_unreported_probe_blocks_massgen_s_store_for_ever_and_this_store_for_the_lease(
    original: CircuitBreakerStore, leased: ProtocolStore, clock: Clock
) -> None:
    for store in (original, leased):
        store.set_state("b", OPEN)
        assert claim(store, clock.now)
    clock.now += LEASE - 1
    assert (claim(original, clock.now), claim(leased, clock.now)) == (False, False)
    clock.now += 1
    assert (probe_active(original), probe_active(leased)) == (True, False)
    assert (claim(original, clock.now), claim(leased, clock.now)) == (False, True)


def test_the_lease_begins_at_the_caller_s_time(
    original: CircuitBreakerStore, leased: ProtocolStore, clock: Clock
) -> None:
    for store in (original, leased):
        store.set_state("b", OPEN)
        assert claim(store, clock.now - LEASE)
    assert (probe_active(original), probe_active(leased)) == (True, False)
    lost = leased.try_transition_and_claim_probe("b", clock.now - LEASE, 60.0)
    assert lost == (False, {**leased.get_state("b"), "half_open_probe_active": True}, None)


@pytest.mark.parametrize(("method", "arguments", "error"), BAD_INPUT, ids=lambda value: ascii(value)[:60])
def test_bad_input_that_massgen_accepts_is_refused_and_not_written(
    original: CircuitBreakerStore, store: ProtocolStore, method: str, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    getattr(original, method)(*arguments)
    store.increment_failure("b")
    before = store.get_state("b")
    with pytest.raises(error):
        getattr(store, method)(*arguments)
    assert store.get_state("b") == before


def test_an_infinite_open_time_is_refused(published: Published, store: ProtocolStore) -> None:
    config = published.breaker.LLMCircuitBreakerConfig(enabled=True)
    over_theirs, over_ours = (
        published.breaker.LLMCircuitBreaker(config, store=each) for each in (published.store.InMemoryStore(), store)
    )
    over_theirs.force_open("quota", open_for_seconds=math.inf)
    assert over_theirs.should_block() is True
    with pytest.raises(InvalidStateError):
        over_ours.force_open("quota", open_for_seconds=math.inf)
    assert over_ours.should_block() is False


def test_keys_other_than_the_five_of_the_protocol_are_dropped(
    original: CircuitBreakerStore, store: ProtocolStore
) -> None:
    for each in (original, store):
        each.set_state("b", {**OPEN, "note": "from another program"})
        each.cas_state("b", "open", {"other": 1})
    assert {"note", "other"} < original.get_state("b").keys()
    assert len(store.get_state("b")) == 5


def test_deadlines_use_the_clock_of_the_server(
    published: Published, shared_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slow = time.time(), time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: slow)
    with shared_backend.open() as ours:
        original = published.store.InMemoryStore()
        seen = [each.atomic_record_failure("b", 1, 60.0)["last_failure_time"] for each in (original, ours)]
    assert seen[0] == slow
    assert real - 60 < seen[1] < real + 60


def test_bad_input_is_a_value_error_and_lost_contention_a_runtime_error() -> None:
    for error in (InvalidNameError, InvalidPolicyError, InvalidStateError):
        assert issubclass(error, ValueError)
    assert issubclass(StoreConflictError, RuntimeError)


def test_make_store_accepts_massgen_s_arguments_and_raises_its_errors(published: Published, redis_url: str) -> None:
    for make in (published.store.make_store, make_store):
        assert type(make()).__name__ == type(make("memory", ttl=5)).__name__ == "InMemoryStore"
        with pytest.raises(ValueError, match=r"^Unknown circuit breaker store backend: postgres$"):
            make("postgres")
        with pytest.raises(ValueError, match=r"^redis_client is required for backend='redis'$"):
            make("redis", ttl=5)
        with redis.Redis.from_url(redis_url) as client:
            options = {"ttl": 5, "key_prefix": uuid.uuid4().hex, "half_open_probe_ttl": 9}
            make("redis", redis_client=client, **options).set_state("b", {})
            assert client.ttl(f"{options['key_prefix']}:b") == 5
            client.delete(f"{options['key_prefix']}:b")


def test_an_unknown_argument_for_redis_raises_a_type_error(published: Published) -> None:
    published.store.make_store("redis", redis_client=object(), tll=5)
    with pytest.raises(TypeError):
        make_store("redis", redis_client=redis.Redis(), tll=5)


@pytest.fixture
def on_redis(published: Published, redis_url: str) -> Any:
    """The published Redis store and ours with separate keys, and their client."""
    with redis.Redis.from_url(redis_url) as client:
        prefixes = [uuid.uuid4().hex for _ in range(2)]
        theirs = published.store.RedisStore(client, key_prefix=prefixes[0], ttl=5)
        ours = RedisStore(client, key_prefix=prefixes[1], ttl=5, protocol_probe_lease=LEASE)
        yield client, theirs, ours, [f"{prefix}:b" for prefix in prefixes]


def test_a_success_on_a_clean_breaker_writes_nothing(on_redis: Any) -> None:
    client, *stores, keys = on_redis
    for store in stores:
        store.atomic_record_success("b")
    assert [client.exists(key) for key in keys] == [1, 0]


def test_an_unreachable_server_raises_an_error_of_this_library(published: Published) -> None:
    with redis.Redis(port=1, retry=Retry(NoBackoff(), 0)) as client:
        with pytest.raises(redis.ConnectionError):
            published.store.RedisStore(client).get_state("b")
        with pytest.raises(StoreUnavailableError) as caught:
            RedisStore(client).get_state("b")
    assert isinstance(caught.value.__cause__, redis.ConnectionError)


def test_a_key_outlives_the_lease_of_its_probe(on_redis: Any) -> None:
    client, *stores, keys = on_redis
    for store in stores:
        store.set_state("b", OPEN)
        assert claim(store, time.time())
    assert [client.ttl(key) > LEASE for key in keys] == [False, True]


def test_a_damaged_hash_is_read_field_by_field(on_redis: Any) -> None:
    client, theirs, ours, keys = on_redis
    for key in keys:
        client.hset(key, mapping={"state": "open", "failure_count": "many"})
    with pytest.raises(ValueError, match="many"):
        theirs.get_state("b")
    assert (ours.get_state("b")["state"], ours.get_state("b")["failure_count"]) == ("open", 0)


def test_an_empty_expected_state_matches_no_state_on_redis(on_redis: Any, original: CircuitBreakerStore) -> None:
    _, theirs, ours, _ = on_redis
    counts = []
    for store in (original, theirs, ours):
        store.increment_failure("b")
        counts.append(store.atomic_record_success("b", expected_state="")["failure_count"])
    assert counts == [1, 0, 1]


def test_a_time_keeps_its_full_precision_on_redis(
    on_redis: Any, original: CircuitBreakerStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, theirs, ours, _ = on_redis
    go_by(clock, ours, monkeypatch)
    clock.now += 1 / 3
    failures = [store.atomic_record_failure("b", 5, 60.0) for store in (original, theirs, ours)]
    assert [state["last_failure_time"] == clock.now for state in failures] == [True, False, True]
