"""A success that is sent and not waited for: its effect, and what is left of it under faults."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, FailureRate, Permit, Snapshot, SqlStore, StoreError, StoreUnavailableError
from cbstore_sql.deadline import within
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.backends import open_store
from tests.stores.sql.pooler import needs_pgbouncer, transaction_pooler
from tests.waiting import PATIENCE, eventually

NEVER = BreakerPolicy(failure_threshold=10**6)
RATE = FailureRate(0.1, 0.5, 60.0)
SCORED = BreakerPolicy(trip=RATE)
COUNT = "SELECT failure_count FROM cbstore.breakers WHERE namespace = %s AND name = 'b'"


@pytest.fixture(params=["postgresql", "async-postgresql"])
def store(request: pytest.FixtureRequest, migrated_postgres_url: str) -> Iterator[ProtocolStore]:
    namespace = uuid.uuid4().hex
    url = sa.make_url(migrated_postgres_url).update_query_dict({"application_name": namespace})
    with open_store(request.param, url.render_as_string(hide_password=False), namespace) as store:
        yield store


@pytest.fixture
def observer(migrated_postgres_url: str) -> Iterator[psycopg.Connection]:
    """Another process that looks at the table."""
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as observer:
        yield observer


def dirty(store: ProtocolStore) -> Permit:
    """Admit a call to a clean breaker; a failure is counted before the call ends. The statements are then prepared."""
    permit = store.read("b").permit
    store.record_success(permit, NEVER)
    store.record_failure("b", NEVER)
    return permit


def send(store: ProtocolStore, permit: Permit, policy: BreakerPolicy = NEVER) -> None:
    """Send a success, which the store must be able to do at once."""
    assert store.send_success(permit, policy)


def report(store: ProtocolStore, permit: Permit) -> None:
    """Send a success, or wait for the report if the store cannot send now."""
    if not store.send_success(permit, NEVER):
        store.record_success(permit, NEVER)


def count(observer: psycopg.Connection, store: ProtocolStore) -> int:
    [failures] = observer.execute(COUNT, [store.namespace]).fetchone() or (0,)
    return int(failures)


@contextmanager
def locked(store: ProtocolStore, url: str) -> Iterator[psycopg.Connection]:
    """Another session holds a lock on the row."""
    with psycopg.connect(url.replace("+psycopg", "")) as holder:
        holder.execute("SELECT FROM cbstore.breakers WHERE namespace = %s FOR UPDATE", [store.namespace])
        yield holder


def test_a_sent_success_clears_failures_and_the_next_read_shows_it(store: ProtocolStore) -> None:
    send(store, dirty(store))
    assert store.read("b").failure_count == 0


def test_another_process_sees_the_effect_without_a_further_operation(
    store: ProtocolStore, observer: psycopg.Connection
) -> None:
    send(store, dirty(store))
    assert eventually(lambda: count(observer, store) == 0)


def test_the_caller_does_not_wait_for_a_locked_row(
    store: ProtocolStore, observer: psycopg.Connection, migrated_postgres_url: str
) -> None:
    permit = dirty(store)
    with locked(store, migrated_postgres_url) as holder:
        with within(PATIENCE):
            send(store, permit)
        assert count(observer, store) == 1
        holder.rollback()
    assert eventually(lambda: count(observer, store) == 0)
    assert store.read("b").failure_count == 0


def test_a_sent_success_of_an_earlier_generation_has_no_effect(store: ProtocolStore) -> None:
    permit = dirty(store)
    store.reset("b")
    store.record_failure("b", NEVER)
    send(store, permit)
    assert store.read("b").failure_count == 1


def test_a_store_that_was_never_used_sends_nothing(
    store: ProtocolStore, migrated_postgres_url: str, observer: psycopg.Connection
) -> None:
    with open_store("postgresql", migrated_postgres_url, store.namespace) as other:
        assert not other.send_success(dirty(store), NEVER)
        assert count(observer, store) == 1


def test_each_permit_and_each_policy_is_sent_with_its_own_statement(store: ProtocolStore) -> None:
    send(store, dirty(store))
    store.reset("b")
    store.record_failure("b", NEVER)
    send(store, store.read("b").permit)
    assert store.read("b").failure_count == 0
    store.record_failure("b", SCORED)
    before = store.read("b")
    store.record_success(before.permit, SCORED)
    send(store, before.permit, SCORED)
    assert store.read("b").score == pytest.approx(before.score - 2 * RATE.success_step)


def test_several_successes_in_a_row_all_reach_the_server(store: ProtocolStore) -> None:
    permit = dirty(store)
    for _ in range(5):
        report(store, permit)
    assert store.read("b").failure_count == 0


def test_an_ended_session_reaches_no_caller_and_counts_a_failure_once(
    store: ProtocolStore, observer: psycopg.Connection
) -> None:
    send(store, dirty(store))
    assert eventually(lambda: count(observer, store) == 0)
    own = "FROM pg_stat_activity WHERE application_name = %s"
    observer.execute(f"SELECT pg_terminate_backend(pid) {own}", [store.namespace])
    assert eventually(lambda: observer.execute(f"SELECT {own}", [store.namespace]).fetchone() is None)
    store.read("b")  # a proxy may pass on the end of a session late; a read is repeated, a count is not
    store.record_failure("b", NEVER)
    assert store.read("b").failure_count == 1


def test_an_error_of_the_server_reaches_the_next_operation_once(
    store: ProtocolStore, observer: psycopg.Connection
) -> None:
    permit = dirty(store)
    with refusing(observer, store):
        send(store, permit)
        with pytest.raises(StoreError, match="lacks SELECT"):
            store.read("b")
        assert store.read("b").failure_count == 1
    send(store, permit)
    assert store.read("b").failure_count == 0


@contextmanager
def refusing(observer: psycopg.Connection, store: ProtocolStore) -> Iterator[None]:
    """The server refuses to clear the failures of this store's breakers."""
    observer.execute(
        "CREATE OR REPLACE FUNCTION cbstore.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    when = f"(new.namespace = '{store.namespace}' AND new.failure_count = 0)"
    observer.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON cbstore.breakers FOR EACH ROW"
        f" WHEN {when} EXECUTE FUNCTION cbstore.refuse()"
    )
    try:
        yield
    finally:
        observer.execute("DROP TRIGGER refuse ON cbstore.breakers")


@pytest.mark.parametrize("backend", ["postgresql", "async-postgresql"])
def test_a_lock_that_the_success_did_not_get_is_no_error_of_the_next_operation(
    backend: str, migrated_postgres_url: str
) -> None:
    impatient = sa.make_url(migrated_postgres_url).update_query_dict({"options": "-c lock_timeout=20ms"})
    url = impatient.render_as_string(hide_password=False)
    with open_store(backend, url, uuid.uuid4().hex) as store:
        permit = dirty(store)
        with locked(store, migrated_postgres_url):
            send(store, permit)
            assert store.read("b").failure_count == 1


def test_an_answer_that_is_late_costs_the_connection_and_no_operation(
    store: ProtocolStore, migrated_postgres_url: str
) -> None:
    permit = dirty(store)
    with locked(store, migrated_postgres_url):
        with within(0.0):
            send(store, permit)
        assert store.read("b").failure_count == 1


@pytest.mark.parametrize("operation", [lambda store: store.record_failure("b", NEVER), lambda store: store.read("b")])
def test_the_deadline_of_the_next_operation_holds(
    store: ProtocolStore, migrated_postgres_url: str, operation: Callable[[ProtocolStore], object]
) -> None:
    permit = dirty(store)
    with locked(store, migrated_postgres_url):
        send(store, permit)
        with within(0.05), pytest.raises(StoreUnavailableError) as caught:
            operation(store)
        assert caught.value.applied is False
    assert store.read("b").failure_count in {0, 1}


@contextmanager
def read_behind_a_success(store: ProtocolStore, url: str, observer: psycopg.Connection) -> Iterator[Reading]:
    """A success waits for a locked row, and a read on the same connection waits behind it; the block ends the wait."""
    permit = dirty(store)
    with locked(store, url) as holder, ThreadPoolExecutor(1) as threads:
        send(store, permit)
        waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        assert eventually(lambda: observer.execute(waiting, [store.namespace]).fetchone() is not None)
        [pid] = observer.execute(waiting, [store.namespace]).fetchone() or (0,)
        reading = Reading(pid, threads.submit(store.read, "b"))
        with pytest.raises(NotYet):
            reading.answer.result(0.05)
        yield reading
        holder.rollback()


class Reading(NamedTuple):
    """A read that waits behind a success.

    Attributes:
        pid: The server process of both.
        answer: Of the read.
    """

    pid: int
    answer: Future[Snapshot]


def test_a_read_that_follows_a_waiting_success_sees_its_effect(
    store: ProtocolStore, migrated_postgres_url: str, observer: psycopg.Connection
) -> None:
    with read_behind_a_success(store, migrated_postgres_url, observer) as reading:
        pass
    assert reading.answer.result(PATIENCE).failure_count == 0
    assert store.read("b").failure_count == 0


def test_a_read_that_follows_a_refused_success_meets_its_error(
    store: ProtocolStore, migrated_postgres_url: str, observer: psycopg.Connection
) -> None:
    with refusing(observer, store):
        with read_behind_a_success(store, migrated_postgres_url, observer) as reading:
            pass
        with pytest.raises(StoreError, match="lacks SELECT"):
            reading.answer.result(PATIENCE)
        assert store.read("b").failure_count == 1


def test_a_read_that_follows_a_success_is_repeated_if_the_session_ends(
    store: ProtocolStore, migrated_postgres_url: str, observer: psycopg.Connection
) -> None:
    with read_behind_a_success(store, migrated_postgres_url, observer) as reading:
        observer.execute("SELECT pg_terminate_backend(%s)", [reading.pid])
        assert reading.answer.result(PATIENCE).failure_count == 1
    assert store.read("b").failure_count == 1


def test_a_failure_that_follows_a_waiting_success_is_counted_after_it(
    store: ProtocolStore, migrated_postgres_url: str
) -> None:
    permit = dirty(store)
    with ThreadPoolExecutor(1) as threads:
        with locked(store, migrated_postgres_url) as holder:
            send(store, permit)
            counted = threads.submit(store.record_failure, "b", NEVER)
            with pytest.raises(NotYet):
                counted.result(0.05)
            holder.rollback()
        transition = counted.result(PATIENCE)
    assert transition is not None
    assert transition.snapshot.failure_count == 1


def test_a_store_that_is_closed_at_once_loses_no_success(
    migrated_postgres_url: str, observer: psycopg.Connection, store: ProtocolStore
) -> None:
    with open_store("postgresql", migrated_postgres_url, store.namespace) as closing:
        send(closing, dirty(closing))
    assert eventually(lambda: count(observer, store) == 0)


def test_a_forked_child_does_not_read_the_answer_of_its_parent(
    migrated_postgres_url: str, observer: psycopg.Connection
) -> None:
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        permit = dirty(store)
        with locked(store, migrated_postgres_url) as holder:
            send(store, permit)
            child = os.fork()
            if child == 0:
                os._exit(0 if store.read("b").failure_count == 1 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            holder.rollback()
        assert store.read("b").failure_count == 0


def test_a_connection_of_the_application_owes_no_answer(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url, pool_size=1, max_overflow=0)
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    assert not store.send_success(dirty(store), NEVER)
    with engine.connect() as connection:
        [[failures]] = connection.exec_driver_sql(COUNT, (store.namespace,)).fetchall()
    assert failures == 1
    engine.dispose()


@needs_pgbouncer
@pytest.mark.parametrize("backend", ["postgresql", "async-postgresql"])
def test_sent_successes_work_behind_a_transaction_pooler(backend: str, migrated_postgres_url: str) -> None:
    with (
        transaction_pooler(migrated_postgres_url) as pooled,
        open_store(backend, pooled, uuid.uuid4().hex) as store,
    ):
        for _ in range(20):
            store.record_failure("b", NEVER)
            permit = store.read("b").permit
            store.record_success(permit, NEVER)
            report(store, permit)
            assert store.read("b").failure_count == 0


def test_a_store_on_sqlite_sends_nothing(migrated_sqlite_url: str) -> None:
    with SqlStore(migrated_sqlite_url) as store:
        assert not store.send_success(dirty(store), NEVER)
        assert store.read("b").failure_count == 1
