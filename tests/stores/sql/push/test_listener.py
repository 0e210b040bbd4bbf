"""Tests of the session that listens: when it exists, what ends it, and how it is replaced."""

from __future__ import annotations

import asyncio
import gc
import os

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    CircuitBreaker,
    SqlStore,
    StoreUnavailableError,
)
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.push import listener as listen
from cbstore_sql.stores.sql.push.channel import Channel
from cbstore_sql.stores.sql.statements.statement import Statement
from tests.runtime.threads import no_new_threads
from tests.stores.sql.push.tools import LONG, pushing, refuses, sessions
from tests.waiting import PATIENCE, eventually


def test_a_listener_whose_session_ended_listens_again_and_reads_missed_changes(
    listening: CircuitBreaker, other: SqlStore, observer: psycopg.Connection, namespace: str
) -> None:
    other.force_open("b", LONG)
    assert not refuses(listening), "nobody told it"
    for pid in sessions(observer, namespace):
        observer.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert eventually(lambda: refuses(listening)), "it read everything again"
    assert eventually(lambda: listening.push_state == "listening")
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.reset("b")
        assert eventually(lambda: not refuses(listening))


def test_a_listener_reads_changes_from_before_it_began_to_listen(url: str, namespace: str, other: SqlStore) -> None:
    with SqlStore(url, namespace=namespace) as store:
        breaker = CircuitBreaker(store, store_timeout=None, max_staleness=LONG, push=True)
        breaker.call("b", int)
        breaker.close()
        other.force_open("b", LONG)
        assert not refuses(breaker)
        with breaker:
            breaker.call("another", int)
            assert eventually(lambda: refuses(breaker))


def test_the_heartbeat_replaces_a_session_that_no_longer_listens(
    monkeypatch: pytest.MonkeyPatch, url: str, namespace: str, observer: psycopg.Connection
) -> None:
    monkeypatch.setattr(listen, "HEARTBEAT", 0.1)
    with SqlStore(url, namespace=namespace) as store, pushing(store):
        before = set(listen._drivers)
        (driver,) = listen._drivers.values()
        check = Channel.check

        # Only the thread that owns the connection may use it.
        def forgetting(channel: Channel) -> None:
            if channel._driver is driver:
                channel.execute(Query(Statement("UNLISTEN *"), {}))
            check(channel)

        monkeypatch.setattr(Channel, "check", forgetting)
        assert eventually(lambda: driver.closed)
        assert eventually(lambda: set(listen._drivers) - before)


def test_closing_ends_the_listener_and_the_breaker_can_be_used_again(
    listening: CircuitBreaker, other: SqlStore, observer: psycopg.Connection, namespace: str
) -> None:
    assert len(sessions(observer, namespace)) == 2
    listening.close()
    assert listening.push_state == "off"
    assert eventually(lambda: len(sessions(observer, namespace)) == 1)
    assert listening._controller.view is not None
    listening._controller.view.forget("b")
    listening.call("b", int)
    assert eventually(lambda: listening.push_state == "listening")


def test_an_asynchronous_breaker_with_push_uses_one_more_connection(
    url: str, namespace: str, observer: psycopg.Connection
) -> None:
    async def run() -> None:
        async with (
            AsyncSqlStore(url, namespace=namespace) as store,
            AsyncCircuitBreaker(store, store_timeout=None, max_staleness=LONG, push=True) as breaker,
        ):
            await breaker.admit("b")
            assert await asyncio.to_thread(eventually, lambda: breaker.push_state == "listening")
            assert eventually(lambda: len(sessions(observer, namespace)) == 2)

    asyncio.run(run())


def test_the_listener_ends_when_no_breaker_is_in_use(
    monkeypatch: pytest.MonkeyPatch, url: str, namespace: str, observer: psycopg.Connection
) -> None:
    monkeypatch.setattr(listen, "HEARTBEAT", 0.1)
    with SqlStore(url, namespace=namespace) as store, pushing(store) as breaker:
        assert breaker._controller.view is not None
        breaker._controller.view.clear()
        assert eventually(lambda: breaker.push_state == "off")
        assert eventually(lambda: len(sessions(observer, namespace)) == 1)


def test_the_listener_uses_the_application_s_engine_but_no_place_in_its_pool(
    url: str, namespace: str, other: SqlStore
) -> None:
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=1)
    with SqlStore(engine, namespace=namespace) as store, pushing(store) as breaker:
        with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
            elsewhere.force_open("b", LONG)
            assert eventually(lambda: refuses(breaker))
        assert breaker.state("b") == "open", "the pool has its only connection to give"
    engine.dispose()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # prefork servers do it
def test_a_forked_child_starts_a_separate_listener(listening: CircuitBreaker, other: SqlStore) -> None:
    ready, tell_ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            listening.call("b", int)
            heard = eventually(lambda: listening.push_state == "listening") and not refuses(listening)
            os.write(tell_ready, b"!")
            os._exit(0 if heard and eventually(lambda: refuses(listening)) else 1)
        finally:
            os._exit(2)
    os.read(ready, 1)
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.force_open("b", LONG)
        assert eventually(lambda: refuses(listening)), "the parent's session goes on"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_deleted_breaker_leaves_no_thread_and_no_session(
    url: str, namespace: str, observer: psycopg.Connection
) -> None:
    with SqlStore(url, namespace=namespace) as store:
        breakers = [pushing(store) for _ in range(3)]
        threads = [breaker._push._thread for breaker in breakers if breaker._push is not None]
        pooled = len(sessions(observer, namespace)) - len(breakers)
        del breakers
        gc.collect()
        for thread in threads:
            assert thread is not None
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert eventually(lambda: len(sessions(observer, namespace)) <= pooled)


def test_a_listener_whose_thread_could_not_start_starts_later(url: str, namespace: str) -> None:
    with (
        SqlStore(url, namespace=namespace) as store,
        CircuitBreaker(store, store_timeout=None, max_staleness=LONG, push=True) as breaker,
    ):
        with no_new_threads():
            assert breaker.call("b", int) == 0
            assert breaker.push_state == "off"
        breaker.call("another", int)
        assert eventually(lambda: breaker.push_state == "listening")


def test_a_circuit_known_to_be_open_only_by_push_stays_open_in_an_outage(
    listening: CircuitBreaker, other: SqlStore
) -> None:
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.force_open("b", LONG)
    assert eventually(lambda: refuses(listening))
    listening._controller._begin_outage("another", StoreUnavailableError("gone"))
    assert refuses(listening), "by the breakers of this process"


def test_a_deleted_breaker_with_the_default_view_leaves_no_session(
    url: str, namespace: str, observer: psycopg.Connection
) -> None:
    with SqlStore(url, namespace=namespace) as store:
        breaker = CircuitBreaker(store, push=True)
        breaker.call("b", int)
        push = breaker._push
        assert push is not None
        assert eventually(lambda: push.state == "listening")
        thread = push._thread
        del breaker
        gc.collect()
        assert thread is not None
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert eventually(lambda: sessions(observer, namespace) == [])
