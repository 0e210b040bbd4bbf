"""No content of a key makes an operation crash or blocks the breaker for ever."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbstore_sql import BreakerPolicy, Permit, RedisStore, Snapshot, State, StoreError
from cbstore_sql.stores.dict_protocol import DEFAULT_CIRCUIT_BREAKER_STATE

ONE_FAILURE = BreakerPolicy(failure_threshold=1)
FIELDS = [
    *("state", "previous_state", "generation", "failure_count", "success_count", "last_failure_time"),
    *("open_until", "open_seconds", "probe_token", "probe_until", "half_open_probe_active", "written", "other"),
]
NO_NUMBERS = ["", "3.5", "-1", "+1", " 1", "1 ", "1\n", "0x10", "nan", "inf", "1e400", "1e", "1-2", ".5", "1_0", "٣"]
NUMBERS = ["0", "3", "3.0", "1.", "1e5", "1e+5", "007", "5e-324", "1e-400", "1" * 400]
LARGE = ["500000000000001", "9007199254740993", "1000000000000", "1000000000001"]
WORDS = ["open", "closed", "half_open", "OPEN", "True", "False", "closed|0|False", "half_open|0|True", "open|1|True"]

texts = st.sampled_from([text.encode() for text in (*NO_NUMBERS, *NUMBERS, *LARGE, *WORDS)])
hashes = st.dictionaries(st.sampled_from(FIELDS), texts | st.binary(max_size=6), min_size=1)


@pytest.fixture(scope="module")
def stores(redis_url: str, scriptless_redis_url: str) -> Iterator[list[RedisStore]]:
    """A store on each kind of server, with clients that decode and clients that do not."""
    prefix = f"cb-{uuid.uuid4().hex}"
    urls = [url + query for url in (redis_url, scriptless_redis_url) for query in ("", "?decode_responses=true")]
    with ExitStack() as stack:
        yield [stack.enter_context(RedisStore.from_url(url, key_prefix=prefix)) for url in urls]


@given(hashes)
def test_every_client_reads_a_damaged_hash_in_the_same_way_and_can_use_the_breaker(
    stores: list[RedisStore], damaged: Any
) -> None:
    seen = set()
    for store in stores:
        store.clear("b")
        store._client.hset(f"{store._key_prefix}:b", mapping=damaged)
        seen.add(store.read("b", now=1000.0))
        store.record_failure(store.read("b").permit)
        assert store.record_failure("b", ONE_FAILURE)
        assert store.reset("b").snapshot.state is State.CLOSED
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("written", "generation"),
    [("open|5.0|False", 3), ("open|5|False", 3), ("open|5.00|False", 4), ("open|5.0|True", 4), (None, 4)],
)
def test_the_signature_may_repeat_the_text_of_a_number_or_the_number(
    stores: list[RedisStore], written: str | None, generation: int
) -> None:
    for store in stores:
        store.clear("b")
        given = {"state": "open", "open_until": "5.0", "generation": "3", **({"written": written} if written else {})}
        store._client.hset(f"{store._key_prefix}:b", mapping=given)
        assert store.read("b").generation == generation
        assert _snapshot_after_a_failure(store).generation == generation
        assert store.read("b").generation == generation


def _snapshot_after_a_failure(store: RedisStore) -> Snapshot:
    transition = store.record_failure("b")
    assert transition
    return transition.snapshot


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("field", ["failure_count", "success_count", "generation"])
def test_a_text_that_is_not_a_whole_number_reads_as_0(
    store: RedisStore, client: Any, key: str, field: str, text: str
) -> None:
    client.hset(key, mapping={field: text, "written": "closed|0|False"})
    assert getattr(store.read("b"), field) == 0


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (("failure_count", "9007199254740992"), 2**53),
        (("failure_count", "9007199254740994"), 0),
        (("generation", "500000000000000"), 500_000_000_000_000),
        (("generation", "500000000000001"), 0),
        (("last_failure_time", "1000000000000"), 1e12),
        (("last_failure_time", "1000000000001"), 0.0),
        (("last_failure_time", "3.5"), 3.5),
        (("last_failure_time", "1e400"), 0.0),
    ],
)
def test_a_number_out_of_range_reads_as_0(
    store: RedisStore, client: Any, key: str, written: tuple[str, str], value: float
) -> None:
    field, text = written
    client.hset(key, mapping={field: text, "written": "closed|0|False"})
    assert getattr(store.read("b"), field) == value


def test_an_unknown_state_reads_as_closed(store: RedisStore, client: Any, key: str) -> None:
    client.hset(key, mapping={"state": "ajar", "half_open_probe_active": "perhaps"})
    assert store.get_state("b") == DEFAULT_CIRCUIT_BREAKER_STATE


def test_a_write_repairs_damaged_fields(store: RedisStore, client: Any, key: str) -> None:
    damaged = {"state": "ajar", "open_until": "tomorrow", "override": "maybe", "score": "-1"}
    for field, repaired in {"state": "closed", "open_until": "0", "override": "", "score": "0"}.items():
        client.hset(key, field, damaged[field])
        store.record_failure("b", now=1001.0)
        assert client.hget(key, field) == repaired


def test_an_open_breaker_without_a_readable_deadline_admits_a_probe_at_once(
    store: RedisStore, client: Any, key: str
) -> None:
    client.hset(key, mapping={"state": "open", "open_until": "tomorrow"})
    assert store.read("b").state is State.OPEN
    assert store.claim_probe("b")


def test_a_token_that_is_not_valid_utf8_is_readable_and_never_owns_the_probe(
    store: RedisStore, client: Any, key: str
) -> None:
    store.force_open("b", 0.0, now=1000.0)
    store.claim_probe("b", now=1000.0)
    client.hset(key, "probe_token", b"\xffme")
    assert store.read("b").probe_token == "\ufffdme"
    assert store.claim_probe("b", now=1e10)


def test_a_text_with_a_nul_is_a_text_like_any_other(store: RedisStore, client: Any, key: str) -> None:
    store.force_open("b", 0.0, now=1000.0)
    store.claim_probe("b", now=1000.0)
    client.hset(key, mapping={"probe_token": "a\0b", "other": "\0"})
    assert store.read("b").probe_token == "a\0b"
    counted = store.record_failure("b", now=1001.0)
    assert counted
    assert counted.snapshot.failure_count == 1
    assert client.hget(key, "other") == "\0"


def test_an_evicted_breaker_is_closed_and_old_permits_have_no_effect(store: RedisStore, client: Any, key: str) -> None:
    store.record_failure("b", ONE_FAILURE, now=1000.0)
    claim = store.claim_probe("b", now=2000.0)
    assert claim
    client.delete(key)
    assert store.get_state("b") == DEFAULT_CIRCUIT_BREAKER_STATE
    for permit in (claim.permit, Permit("b", claim.permit.generation)):
        assert store.record_failure(permit) is None
        assert store.record_success(permit) is None
    assert store.release_probe(claim.permit) is None
    assert store.renew_probe(claim.permit) is None
    assert client.exists(key) == 0


OPERATIONS: list[Callable[[RedisStore], Any]] = [
    lambda store: store.read("b"),
    lambda store: store.claim_probe("b"),
    lambda store: store.record_failure("b"),
    lambda store: store.increment_failure("b"),
    lambda store: store.reset("b"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_key_of_another_type_is_an_error_until_it_is_cleared(
    store: RedisStore, client: Any, key: str, operation: Callable[[RedisStore], Any]
) -> None:
    client.set(key, "secret")
    with pytest.raises(StoreError, match=r"^the breaker's key holds something other than a hash \(WRONGTYPE\)$"):
        operation(store)
    assert client.get(key) == "secret"
    store.clear("b")
    operation(store)
