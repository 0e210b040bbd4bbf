"""The server's log shows one statement for each operation, and no write without a change."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, Permit, SqlStore, Store, UnknownBreakerError

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=60.0, probe_lease=30.0)


class Heard:
    """Records the statements that the server logs for the connections of one engine."""

    def __init__(self, url: str) -> None:
        self.statements: list[str] = []
        # These are start-up options, so that the log contains no SET statement of the test.
        options = "-c client_min_messages=log -c log_statement=all"
        self.engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"options": options})
        sa.event.listen(self.engine, "connect", self._listen)
        with self.engine.connect():
            pass

    def _listen(self, connection: psycopg.Connection[Any], _record: Any) -> None:
        connection.add_notice_handler(self._hear)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        text = notice.message_primary or ""
        if text.startswith(("statement: ", "execute ")):
            self.statements.append(text.partition(": ")[2])

    def during(self, call: Callable[[], Any]) -> list[str]:
        self.statements.clear()
        call()
        return [statement.split(maxsplit=1)[0] for statement in self.statements]


@pytest.fixture
def heard(migrated_postgres_url: str) -> Iterator[Heard]:
    heard = Heard(migrated_postgres_url)
    yield heard
    heard.engine.dispose()


@pytest.fixture
def store(heard: Heard) -> SqlStore:
    store = SqlStore(heard.engine, namespace=uuid.uuid4().hex)
    # The store reads once in each session whether row-level security applies.
    assert heard.during(lambda: store.read("first")) == ["SELECT", "SELECT"]
    return store


def claimed(store: Store) -> Permit:
    store.reset("b")
    store.force_open("b", 0.0, now=1000.0)
    claim = store.claim_probe("b", POLICY, now=1000.0)
    assert claim is not None
    return claim.permit


def test_each_operation_is_one_statement(heard: Heard, store: SqlStore) -> None:
    assert heard.during(lambda: store.read("b")) == ["SELECT"]
    store.record_failure("b", POLICY)
    permit = store.read("b").permit
    stale = Permit("b", 99)
    assert heard.during(lambda: store.record_failure(permit, POLICY)) == ["UPDATE"]
    assert heard.during(lambda: store.record_failure(stale, POLICY)) == ["UPDATE"]
    assert heard.during(lambda: store.claim_probe("b", POLICY)) == ["UPDATE"]
    owner = claimed(store)
    assert heard.during(lambda: store.renew_probe(owner, POLICY)) == ["UPDATE"]
    assert heard.during(lambda: store.release_probe(owner)) == ["UPDATE"]
    owner = claimed(store)
    assert heard.during(lambda: store.record_success(owner, POLICY)) == ["UPDATE"]
    assert heard.during(lambda: store.record_success("b", POLICY)) == ["UPDATE"]
    assert heard.during(lambda: store.force_open("b", 1.0)) == ["UPDATE"]
    assert heard.during(lambda: store.reset("b")) == ["UPDATE"]
    assert heard.during(lambda: store.hold("b", 1.0)) == ["UPDATE"]
    assert heard.during(lambda: store.set_override("b", "open", by="ann", reason="deploy")) == ["UPDATE"]
    assert heard.during(lambda: store.clear_override("b", by="ann")) == ["UPDATE"]
    assert heard.during(lambda: store.history("b")) == ["SELECT"]


def test_only_the_first_failure_of_a_new_breaker_counts_the_breakers_and_inserts_a_row(
    heard: Heard, store: SqlStore
) -> None:
    assert heard.during(lambda: store.record_failure("b", POLICY)) == ["UPDATE", "SELECT", "INSERT"]
    assert heard.during(lambda: store.record_failure("b", POLICY)) == ["UPDATE"]


def test_an_override_of_an_unknown_name_inserts_no_row(heard: Heard, store: SqlStore) -> None:
    def misspelt() -> None:
        with pytest.raises(UnknownBreakerError):
            store.set_override("misspelt", "open", by="ann", reason="deploy")

    assert heard.during(misspelt) == ["UPDATE"]


def test_an_operation_without_effect_on_a_new_breaker_inserts_no_row(heard: Heard, store: SqlStore) -> None:
    assert heard.during(lambda: store.record_success("b", POLICY)) == ["UPDATE"]
    assert heard.during(lambda: store.claim_probe("b", POLICY)) == ["UPDATE"]


def test_the_protocol_needs_a_second_statement_only_for_a_dirty_success_and_a_lost_claim(
    heard: Heard, store: SqlStore
) -> None:
    store.set_state("b", {})
    assert heard.during(lambda: store.get_state("b")) == ["SELECT"]
    assert heard.during(lambda: store.set_state("b", {"failure_count": 1})) == ["UPDATE"]
    assert heard.during(lambda: store.cas_state("b", "closed", {"failure_count": 2})) == ["UPDATE"]
    assert heard.during(lambda: store.cas_state("b", "open", {"failure_count": 2})) == ["UPDATE"]
    assert heard.during(lambda: store.increment_failure("b")) == ["UPDATE"]
    assert heard.during(lambda: store.atomic_record_success("b")) == ["SELECT", "UPDATE"]
    assert heard.during(lambda: store.atomic_record_success("b")) == ["SELECT"]
    assert heard.during(lambda: store.atomic_record_failure("b", 1, 60.0)) == ["UPDATE"]
    assert heard.during(lambda: store.try_transition_and_claim_probe("b", 0.0, 60.0)) == ["UPDATE", "SELECT"]
    assert heard.during(lambda: store.try_transition_and_claim_probe("b", 9e9, 60.0)) == ["UPDATE"]
    assert heard.during(lambda: store.clear("b")) == ["DELETE"]


def wal_written(url: str, call: Callable[[], Any]) -> float:
    """Return the least WAL of several attempts, because other processes of the server may also write WAL."""
    question = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        tries = []
        for _ in range(5):
            before = connection.execute(question).fetchone()
            call()
            after = connection.execute(question).fetchone()
            assert before is not None
            assert after is not None
            tries.append(float(after[0] - before[0]))
    return min(tries)


def test_an_operation_without_effect_writes_no_wal(migrated_postgres_url: str, store: SqlStore) -> None:
    url = migrated_postgres_url
    store.reset("b")
    assert wal_written(url, lambda: store.read("b")) == 0
    assert wal_written(url, lambda: store.record_success("b", POLICY)) == 0
    assert wal_written(url, lambda: store.record_failure(Permit("b", 99), POLICY)) == 0
    claimed(store)
    assert wal_written(url, lambda: store.claim_probe("b", POLICY, now=1001.0)) == 0
    assert wal_written(url, lambda: store.record_failure("b", POLICY)) > 0
