"""Processes of release 0.1 and new processes share the new table. Old processes also work after a downgrade."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, RedisStore, SqlStore, State, Store
from tests.migration.release_0_1 import RedisStore01, as_release_0_1

THREE = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0)
# A failure adds a quarter of the limit.
RATE = BreakerPolicy(trip=FailureRate(0.2, 0.8, 256.0))
NOW = 1.8e9


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Store]]:
    """A store of release 0.1 and one of this release, on the same breakers."""
    namespace = uuid.uuid4().hex
    old: Store
    new: Store
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        old, new = RedisStore01.from_url(url, namespace=namespace), RedisStore.from_url(url, namespace=namespace)
    else:
        name = "migrated_sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
        url = request.getfixturevalue(name)
        old, new = SqlStore(url, namespace=namespace), SqlStore(url, namespace=namespace)
        as_release_0_1(old)
    with old, new:
        yield old, new


def test_breakers_of_old_processes_have_the_defaults_of_the_new_columns(both: tuple[Store, Store]) -> None:
    old, new = both
    old.record_failure("b", THREE, now=NOW)
    snapshot = new.read("b", now=NOW)
    assert (snapshot.failure_count, snapshot.score, snapshot.override, snapshot.hold_until) == (1, 0.0, "", 0.0)
    assert new.history("b") == ()


def test_counts_of_old_and_new_processes_add_up(both: tuple[Store, Store]) -> None:
    old, new = both
    old.record_failure("b", THREE, now=NOW)
    new.record_failure("b", THREE, now=NOW)
    tripped = old.record_failure("b", THREE, now=NOW)
    assert tripped is not None
    assert tripped.snapshot.state is State.OPEN
    assert new.read("b", now=NOW).state is State.OPEN


def test_old_and_new_processes_share_one_probe(both: tuple[Store, Store]) -> None:
    old, new = both
    new.force_open("b", 1.0, now=NOW)
    claim = old.claim_probe("b", THREE, now=NOW + 2.0)
    assert claim is not None
    assert new.claim_probe("b", THREE, now=NOW + 2.0) is None
    closed = new.record_success(claim.permit, THREE, now=NOW + 3.0)
    assert closed is not None
    assert closed.snapshot.state is State.CLOSED
    assert old.read("b", now=NOW + 3.0).state is State.CLOSED


def test_a_change_by_an_old_process_resets_the_score(both: tuple[Store, Store]) -> None:
    old, new = both
    for _ in range(3):
        new.record_failure("b", RATE, now=NOW)
    assert new.read("b").score == pytest.approx(0.75)
    old.force_open("b", 0.0, now=NOW)
    claim = old.claim_probe("b", THREE, now=NOW)
    assert claim is not None
    old.record_success(claim.permit, THREE, now=NOW)
    assert new.read("b").score == 0.0
    one_more = new.record_failure("b", RATE, now=NOW)
    assert one_more is not None
    assert (one_more.snapshot.state, round(one_more.snapshot.score, 9)) == (State.CLOSED, 0.25)


def test_old_processes_do_not_change_overrides_holds_and_histories(both: tuple[Store, Store]) -> None:
    old, new = both
    new.force_open("b", 1.0, now=NOW)
    new.set_override("b", "open", by="ann", reason="deploy", seconds=1e6, now=NOW)
    new.hold("b", 1e5, now=NOW)
    history = new.history("b")
    old.record_failure("b", THREE, now=NOW)
    old.reset("b", now=NOW)
    snapshot = new.read("b", now=NOW)
    assert (snapshot.override, snapshot.override_by, snapshot.override_reason) == ("open", "ann", "deploy")
    assert (snapshot.hold_until, snapshot.state) == (NOW + 1e5, State.CLOSED)
    assert new.history("b") == history
    assert [entry.cause for entry in history] == ["forced", "override_open"]
