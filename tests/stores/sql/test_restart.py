"""Tests with a server that restarts, and with a server that has become a standby."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, SqlStore, StoreUnavailableError
from cbstore_sql.deadline import within
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.servers import wheels
from tests.stores.contract.backends import open_store
from tests.system.faults.postgres import Cluster, Postgres

NEVER = BreakerPolicy(failure_threshold=1000)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    directory = wheels._new_directory()
    try:
        with Cluster(directory).server() as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["postgresql", "async-postgresql"])
def store(request: pytest.FixtureRequest, server: Postgres) -> Iterator[ProtocolStore]:
    with open_store(request.param, server.url, request.param) as store:
        yield store


def test_a_restart_between_two_operations_causes_no_error(store: ProtocolStore, server: Postgres) -> None:
    store.reset("b")
    for failures in range(1, 4):
        store.record_failure("b", NEVER)
        server.stop("fast")
        server.start()
        assert store.read("b").failure_count == failures


def test_a_restart_after_a_sent_success_reaches_no_caller(store: ProtocolStore, server: Postgres) -> None:
    store.reset("b")
    permit = store.read("b").permit
    store.record_success(permit, NEVER)
    for end in ("fast", "immediate"):
        store.record_failure("b", NEVER)
        assert store.send_success(permit, NEVER)
        server.stop(end)
        server.start()
        store.record_failure("b", NEVER)
        # The server may have ended before it got to the success.
        assert store.read("b").failure_count in {1, 2}
        store.record_success(permit, NEVER)


def test_an_operation_waits_for_a_server_that_is_started_within_its_deadline(
    store: ProtocolStore, server: Postgres
) -> None:
    store.reset("b")
    server.stop("fast")
    with within(0.1), pytest.raises(StoreUnavailableError) as caught:
        store.record_failure("b", NEVER)
    assert caught.value.applied is False
    server.start()
    with within(30.0):
        store.record_failure("b", NEVER)
    assert store.read("b").failure_count == 1


def set_read_only(server: Postgres, value: str) -> None:
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE postgres SET default_transaction_read_only = {value}".encode())


def test_sessions_with_a_read_only_server_are_replaced(store: ProtocolStore, server: Postgres) -> None:
    store.reset("b")
    set_read_only(server, "on")
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        # Existing sessions do not become read-only by this setting, as they would if the server became a standby.
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with pytest.raises(StoreUnavailableError, match="read-only") as caught:
        store.record_failure("b", NEVER)
    assert caught.value.applied is False
    set_read_only(server, "off")
    store.record_failure("b", NEVER)
    assert store.read("b").failure_count == 1


def test_sessions_of_an_application_s_pool_with_a_read_only_server_are_replaced_in_the_same_pool(
    server: Postgres,
) -> None:
    engine = sa.create_engine(server.url, pool_size=2)
    store = SqlStore(engine, namespace="engine")
    set_read_only(server, "on")
    with pytest.raises(StoreUnavailableError, match="read-only"):
        store.record_failure("b", NEVER)
    pool = engine.pool
    set_read_only(server, "off")
    store.record_failure("b", NEVER)
    assert engine.pool is pool
    engine.dispose()


def test_a_read_only_server_empties_an_application_s_pool_once(server: Postgres) -> None:
    engine = sa.create_engine(server.url, pool_size=5)
    store = SqlStore(engine, namespace="engine")
    set_read_only(server, "on")
    held = [engine.connect() for _ in range(5)]
    for connection in held:
        connection.close()
    opened: list[object] = []
    sa.event.listen(engine, "connect", lambda *_: opened.append(None))
    for _ in range(4):
        with pytest.raises(StoreUnavailableError, match="read-only"):
            store.record_failure("b", NEVER)
    # Each attempt closes its connection. The first attempt also made the pool replace the other connections.
    held = [engine.connect() for _ in range(5)]
    replaced = len(opened)
    for connection in held:
        connection.close()
    with pytest.raises(StoreUnavailableError, match="read-only"):
        store.record_failure("b", NEVER)
    held = [engine.connect() for _ in range(5)]
    assert len(opened) - replaced <= 2, "an operation and its one repetition"
    for connection in held:
        connection.close()
    set_read_only(server, "off")
    engine.dispose()
