"""Tests of keys that clients of MassGen's RedisStore also write. The tests make these writes directly."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, Permit, RedisStore, State
from tests.stores.redis.conftest import untouched

ONE_FAILURE = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0, probe_lease=30.0)
STATES = ["closed", "open", "half_open"]


def foreign_write(client: Any, key: str, state: str, failures: int, until: float, *, probe: bool) -> None:
    """Write as a client of MassGen does: all five fields and the expiry of the key."""
    fields = {
        "state": state,
        "failure_count": str(failures),
        "last_failure_time": "1000.5",
        "open_until": str(until),
        "half_open_probe_active": str(probe),
    }
    client.hset(key, mapping=fields)
    client.expire(key, 3600)


def claimed(store: RedisStore) -> Permit:
    store.record_failure("b", ONE_FAILURE, now=1000.5)
    claim = store.claim_probe("b", ONE_FAILURE, now=1060.5)
    assert claim
    return claim.permit


def test_a_foreign_client_can_read_the_fields_that_the_store_writes(store: RedisStore, client: Any, key: str) -> None:
    store.record_failure("b", now=1000.1)
    store.record_failure("b", ONE_FAILURE, now=1000.1)
    store.claim_probe("b", ONE_FAILURE, now=1060.1)
    fields: dict[str, str] = client.hgetall(key)
    assert fields["state"] == "half_open"
    assert int(fields["failure_count"]) == 2
    assert float(fields["last_failure_time"]) == 1000.1
    assert float(fields["open_until"]) == 1060.1
    assert fields["half_open_probe_active"] == "True"
    store.record_success("b")
    assert client.hmget(key, "state", "failure_count", "half_open_probe_active") == ["closed", "0", "False"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("probe", [False, True])
def test_the_store_can_read_the_fields_that_a_foreign_client_writes(
    store: RedisStore, client: Any, key: str, state: str, probe: bool
) -> None:
    foreign_write(client, key, state, 7, 1060.123456789, probe=probe)
    assert store.get_state("b") == {
        "state": state,
        "failure_count": 7,
        "last_failure_time": 1000.5,
        "open_until": 1060.123456789,
        "half_open_probe_active": probe,
    }


@pytest.mark.parametrize("number", ["1.7e+09", "1700000000", "1700000000.0", "1700000000.00"])
def test_every_notation_of_a_number_is_read(store: RedisStore, client: Any, key: str, number: str) -> None:
    client.hset(key, mapping={"state": "open", "open_until": number, "failure_count": "3"})
    assert store.read("b").open_until == 1.7e9


def test_a_field_rewritten_in_another_notation_is_not_a_foreign_change(
    store: RedisStore, client: Any, key: str
) -> None:
    permit = claimed(store)
    client.hset(key, "open_until", "1060.500")
    assert store.read("b").permit == permit


@pytest.mark.parametrize("state", STATES)
def test_a_foreign_change_of_state_makes_older_permits_invalid(
    store: RedisStore, client: Any, key: str, state: str
) -> None:
    permit = claimed(store)
    foreign_write(client, key, state, 2, 2000.0, probe=False)
    assert store.read("b").generation == permit.generation + 1
    with untouched(client, key):
        assert store.record_success(permit) is None
        assert store.record_failure(permit, now=1061.0) is None
        assert store.renew_probe(permit, now=1061.0) is None
        assert store.release_probe(permit, now=1061.0) is None


def test_a_permit_from_after_a_foreign_change_is_valid(store: RedisStore, client: Any, key: str) -> None:
    claimed(store)
    foreign_write(client, key, "closed", 2, 2000.0, probe=False)
    permit = store.read("b").permit
    report = store.record_failure(permit, now=1061.0)
    assert report
    assert report.snapshot.failure_count == 3
    assert report.permit == permit


def test_a_foreign_count_does_not_change_permits_or_the_probe(store: RedisStore, client: Any, key: str) -> None:
    permit = claimed(store)
    client.hincrby(key, "failure_count", 4)
    client.hset(key, "last_failure_time", "1061.25")
    snapshot = store.read("b")
    assert (snapshot.permit, snapshot.failure_count, snapshot.last_failure_time) == (permit, 5, 1061.25)
    assert store.record_success(permit)


def test_a_foreign_probe_lasts_until_its_client_reports(store: RedisStore, client: Any, key: str) -> None:
    store.record_failure("b", ONE_FAILURE, now=1000.5)
    foreign_write(client, key, "half_open", 1, 1060.5, probe=True)
    with untouched(client, key):
        assert store.claim_probe("b", now=1e11) is None
    foreign_write(client, key, "closed", 0, 1060.5, probe=False)
    assert store.read("b").state is State.CLOSED
    assert store.read("b").probe_token == ""


def test_a_foreign_probe_ends_when_its_key_expires(store: RedisStore, client: Any, key: str) -> None:
    foreign_write(client, key, "half_open", 1, 1060.5, probe=True)
    store.increment_failure("b")
    assert 0 < client.pttl(key) <= 3600_000
    store.record_failure("b", BreakerPolicy(failure_threshold=100), now=1000.0)
    assert store.read("b").state is State.OPEN


def test_a_probe_that_a_foreign_client_released_can_be_claimed(store: RedisStore, client: Any, key: str) -> None:
    foreign_write(client, key, "half_open", 1, 1060.5, probe=False)
    claim = store.claim_probe("b", now=1061.0)
    assert claim
    assert client.hget(key, "half_open_probe_active") == "True"


def test_a_foreign_change_resets_the_successes_and_a_foreign_closing_resets_the_backoff(
    store: RedisStore, client: Any, key: str
) -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=10.0, success_threshold=2)
    store.record_failure("b", policy, now=1000.0)
    claim = store.claim_probe("b", policy, now=1010.0)
    assert claim
    store.record_success(claim.permit, policy)
    assert store.read("b").success_count == 1
    foreign_write(client, key, "half_open", 1, 1010.0, probe=True)
    assert (store.read("b").success_count, store.read("b").open_seconds) == (0, 10.0)
    foreign_write(client, key, "closed", 0, 1010.0, probe=False)
    assert store.read("b").open_seconds == 0.0


def test_a_partial_hash_is_completed_by_defaults(store: RedisStore, client: Any, key: str) -> None:
    client.hincrby(key, "failure_count", 7)
    assert store.cas_state("b", "closed", {"state": "open"})
    assert store.read("b").failure_count == 7
    assert store.read("b").state is State.OPEN


def test_unknown_fields_of_a_key_are_kept(store: RedisStore, client: Any, key: str) -> None:
    client.hset(key, "note", "keep me")
    store.record_failure("b")
    store.reset("b")
    assert client.hget(key, "note") == "keep me"
