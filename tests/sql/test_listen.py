"""Changes of state that reach other processes at once, and what is left where they do not."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    ConfigurationError,
    InMemoryStore,
    SqlStore,
)
from cbstore_sql.stores.sql import listen
from cbstore_sql.stores.sql.channel import Channel, channel_of, digest_of, is_impossible, newer_names
from cbstore_sql.stores.sql.queries import Query
from cbstore_sql.stores.sql.statement import Statement
from cbstore_sql.stores.threaded import ThreadedStore
from tests.sql.pooler import needs_pgbouncer, transaction_pooler
from tests.waiting import eventually

LONG = 600.0
"""Seconds of staleness that no test waits for: what is known sooner was pushed."""

TRIPS_AT_ONCE = BreakerPolicy(failure_threshold=1)
CHANNEL = channel_of("cbstore")


@pytest.fixture
def namespace() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def url(migrated_postgres_url: str, namespace: str) -> str:
    """The database, by sessions that can be told from others by their application's name."""
    return with_options(migrated_postgres_url, application_name=namespace)


@pytest.fixture
def observer(migrated_postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


@pytest.fixture
def listening(url: str, namespace: str) -> Iterator[CircuitBreaker]:
    """A breaker that listens and has seen the circuit ``b`` closed."""
    with SqlStore(url, namespace=namespace) as store, pushing(store) as breaker:
        yield breaker


@pytest.fixture
def other(migrated_postgres_url: str, namespace: str) -> Iterator[SqlStore]:
    """The store as another process has it; what it changes without a breaker, it tells nobody."""
    with SqlStore(migrated_postgres_url, namespace=namespace) as store:
        yield store


def with_options(url: str, **options: str) -> str:
    return sa.make_url(url).update_query_dict(options).render_as_string(hide_password=False)


def pushing(store: SqlStore) -> CircuitBreaker:
    breaker = CircuitBreaker(store, TRIPS_AT_ONCE, store_timeout=None, max_staleness=LONG, push=True)
    breaker.call("b", int)
    assert eventually(lambda: breaker.push_state == "listening")
    return breaker


def refuses(breaker: CircuitBreaker | AsyncCircuitBreaker) -> bool:
    """Whether it refuses a call by what it knows, without asking the store."""
    try:
        breaker.gate.admit_at_once("b")
    except CircuitBreakerOpenError:
        return True
    return False


def is_called(breaker: CircuitBreaker) -> bool:
    try:
        breaker.call("b", int)
    except CircuitBreakerOpenError:
        return False
    return True


def sessions(observer: psycopg.Connection, namespace: str) -> list[int]:
    question = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
    return [pid for (pid,) in observer.execute(question, [namespace])]


def hearing(observer: psycopg.Connection) -> Callable[[], list[str]]:
    """Listen; return what gives everything that was told until it is called."""
    heard: list[str] = []
    observer.add_notify_handler(lambda notify: heard.append(notify.payload))
    observer.execute(f"LISTEN {CHANNEL}")

    def told() -> list[str]:
        # They arrive in the order of their commits.
        observer.execute("SELECT pg_notify(%s, 'end')", [CHANNEL])
        assert eventually(lambda: observer.execute("SELECT") and "end" in heard)
        return heard

    return told


def test_a_circuit_opened_elsewhere_is_refused_here_long_before_the_view_is_stale(
    listening: CircuitBreaker, other: SqlStore
) -> None:
    with CircuitBreaker(other, TRIPS_AT_ONCE, store_timeout=None, push=True) as elsewhere:
        elsewhere.failure(elsewhere.admit("b"))
        assert eventually(lambda: refuses(listening))


def test_a_circuit_closed_elsewhere_is_open_to_calls_here(listening: CircuitBreaker, other: SqlStore) -> None:
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.force_open("b", LONG)
        assert eventually(lambda: refuses(listening))
        elsewhere.reset("b")
        assert eventually(lambda: not refuses(listening))


@pytest.mark.parametrize("kind", [AsyncSqlStore, SqlStore])
def test_asynchronous_breakers_hear_and_tell(
    kind: type[AsyncSqlStore | SqlStore], url: str, namespace: str, listening: CircuitBreaker
) -> None:
    async def run() -> None:
        store = kind(url, namespace=namespace)
        async with AsyncCircuitBreaker(
            store, TRIPS_AT_ONCE, store_timeout=None, max_staleness=LONG, push=True
        ) as breaker:
            await breaker.admit("b")
            assert await asyncio.to_thread(eventually, lambda: breaker.push_state == "listening")
            listening.force_open("b", LONG)
            assert await asyncio.to_thread(eventually, lambda: refuses(breaker))
            await breaker.reset("b")
            assert await asyncio.to_thread(eventually, lambda: not refuses(listening))
        assert breaker.push_state == "off"
        await breaker.store.close()

    asyncio.run(run())


def test_a_breaker_that_is_closed_at_once_has_told(listening: CircuitBreaker, other: SqlStore) -> None:
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.force_open("b", LONG)
    assert eventually(lambda: refuses(listening))


def test_only_changes_of_state_are_told(
    listening: CircuitBreaker, observer: psycopg.Connection, namespace: str
) -> None:
    told = hearing(observer)
    listening.gate.policies["b"] = BreakerPolicy(failure_threshold=3)
    for _ in range(2):
        listening.failure(listening.admit("b"))
    listening.success(listening.admit("b"))
    for _ in range(2):
        listening.failure(listening.admit("b"))
    change = listening.force_open("b", LONG)
    listening.force_open("b", LONG * 2)
    listening.close()
    ours = [payload for payload in told() if payload.startswith(digest_of(namespace, "b"))]
    assert ours == [f"{digest_of(namespace, 'b')} {change.snapshot.generation}"]


def test_a_notification_that_fails_undoes_nothing(
    migrated_postgres_url: str, namespace: str, observer: psycopg.Connection
) -> None:
    role = f"r{namespace}"
    observer.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    observer.execute(f"GRANT ALL ON SCHEMA cbstore TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA cbstore TO {role}")
    own = sa.make_url(migrated_postgres_url).set(username=role, password="secret")
    try:
        with SqlStore(own, namespace=namespace) as store, pushing(store) as breaker:
            observer.execute("REVOKE EXECUTE ON FUNCTION pg_notify FROM PUBLIC")
            breaker.failure(breaker.admit("b"))
            assert breaker.state("b") == "open"
            assert eventually(lambda: breaker.push_state == "connecting")
            assert breaker.reset("b").changed
    finally:
        observer.execute("GRANT EXECUTE ON FUNCTION pg_notify TO PUBLIC")
        observer.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_listener_whose_session_ended_listens_again_and_catches_up(
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


def test_what_changed_before_the_listener_listened_is_read_by_it(url: str, namespace: str, other: SqlStore) -> None:
    with SqlStore(url, namespace=namespace) as store:
        breaker = CircuitBreaker(store, store_timeout=None, max_staleness=LONG, push=True)
        breaker.call("b", int)
        breaker.close()
        other.force_open("b", LONG)
        assert not refuses(breaker)
        with breaker:
            breaker.call("another", int)
            assert eventually(lambda: refuses(breaker))


def test_a_heartbeat_finds_a_session_that_does_not_listen_any_more(
    monkeypatch: pytest.MonkeyPatch, url: str, namespace: str, observer: psycopg.Connection
) -> None:
    monkeypatch.setattr(listen, "HEARTBEAT", 0.02)
    with SqlStore(url, namespace=namespace) as store, pushing(store):
        before = set(listen._drivers)
        (driver,) = listen._drivers.values()
        check = Channel.check

        # In the thread whose connection it is: nobody else may speak on it.
        def forgetting(channel: Channel) -> None:
            if channel._driver is driver:
                channel.execute(Query(Statement("UNLISTEN *"), {}))
            check(channel)

        monkeypatch.setattr(Channel, "check", forgetting)
        assert eventually(lambda: driver.closed)
        assert eventually(lambda: set(listen._drivers) - before)


def test_closing_ends_thread_and_connection_and_the_breaker_can_be_used_again(
    listening: CircuitBreaker, other: SqlStore, observer: psycopg.Connection, namespace: str
) -> None:
    assert len(sessions(observer, namespace)) == 2
    listening.close()
    assert listening.push_state == "off"
    assert eventually(lambda: len(sessions(observer, namespace)) == 1)
    assert listening.gate.view is not None
    listening.gate.view.forget("b")
    listening.call("b", int)
    assert eventually(lambda: listening.push_state == "listening")


def test_an_asynchronous_breaker_takes_one_connection_more(
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


def test_the_thread_ends_when_no_breaker_is_in_use(
    monkeypatch: pytest.MonkeyPatch, url: str, namespace: str, observer: psycopg.Connection
) -> None:
    monkeypatch.setattr(listen, "HEARTBEAT", 0.02)
    with SqlStore(url, namespace=namespace) as store, pushing(store) as breaker:
        assert breaker.gate.view is not None
        breaker.gate.view.forget("b")
        assert eventually(lambda: breaker.push_state == "off")
        assert eventually(lambda: len(sessions(observer, namespace)) == 1)


def test_the_application_s_engine_opens_the_connection(url: str, namespace: str, other: SqlStore) -> None:
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=1)
    with SqlStore(engine, namespace=namespace) as store, pushing(store) as breaker:
        with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
            elsewhere.force_open("b", LONG)
            assert eventually(lambda: refuses(breaker))
        assert breaker.state("b") == "open", "the pool has its only connection to give"
    engine.dispose()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # prefork servers do it
def test_a_forked_child_listens_for_itself(listening: CircuitBreaker, other: SqlStore) -> None:
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


@needs_pgbouncer
def test_behind_a_transaction_pooler_it_is_said_once_and_polling_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    migrated_postgres_url: str,
    namespace: str,
    other: SqlStore,
) -> None:
    monkeypatch.setattr(listen, "_PROBE_SECONDS", 0.3)
    monkeypatch.setattr(listen, "_IMPOSSIBLE_PAUSE", 0.05)
    with transaction_pooler(migrated_postgres_url) as pooled, caplog.at_level(logging.WARNING):
        engine = sa.create_engine(pooled, connect_args={"prepare_threshold": None})
        opened: list[object] = []
        sa.event.listen(engine, "detach", lambda *given: opened.append(given))
        store = SqlStore(engine, namespace=namespace)
        with CircuitBreaker(store, store_timeout=None, max_staleness=0.1, push=True) as breaker:
            assert eventually(lambda: is_called(breaker) and breaker.push_state == "unavailable")
            assert eventually(lambda: is_called(breaker) and len(opened) > 4), "two sessions each time it tries again"
            other.force_open("b", LONG)
            assert eventually(lambda: not is_called(breaker))
        engine.dispose()
    said = [record.getMessage() for record in caplog.records if "push" in record.getMessage()]
    assert len(said) == 1
    assert "polling goes on" in said[0]
    assert "://" not in said[0]


@pytest.mark.parametrize(
    ("error", "impossible"),
    [
        pytest.param(SimpleNamespace(sqlstate="25006"), True, id="a standby"),
        pytest.param(SimpleNamespace(sqlstate="57P01"), False, id="a server that stops"),
        pytest.param(SimpleNamespace(sqlstate=None), False, id="a connection that broke"),
        pytest.param(OSError(), False, id="no driver's error"),
    ],
)
def test_a_standby_is_no_outage(error: BaseException, impossible: bool) -> None:
    assert is_impossible(error) is impossible


@pytest.mark.parametrize(
    ("payloads", "names"),
    [
        ([f"{digest_of('n', 'a')} 4"], ["a"]),
        ([f"{digest_of('n', 'a')} 3"], []),
        ([f"{digest_of('n', 'a')} 4", f"{digest_of('n', 'a')} 2"], ["a"]),
        ([f"{digest_of('m', 'a')} 4", f"{digest_of('n', 'x')} 4"], []),
        (["", "x", f"{digest_of('n', 'a')} x", f"{digest_of('n', 'a')} ²", "9" * 7000], []),
        ([f"{digest_of('n', 'a')} 4", f"{digest_of('n', 'b')} 1"], ["a", "b"]),
    ],
)
def test_only_what_is_in_use_and_newer_is_read(payloads: list[str], names: list[str]) -> None:
    assert newer_names(payloads, "n", {"a": 3, "b": 0, "c": 7}) == names


def test_a_notification_fits_whatever_the_names(migrated_postgres_url: str) -> None:
    assert len(channel_of("s" * 63)) <= 63
    assert channel_of("cbstore") == "cbstore_cbstore"
    assert len(digest_of("n" * 512, "ü" * 256)) == 24
    with pytest.raises(ConfigurationError):
        channel_of('s"; DROP')


def test_a_store_that_cannot_push_is_refused(migrated_sqlite_url: str, migrated_postgres_url: str) -> None:
    with SqlStore(migrated_sqlite_url) as store, pytest.raises(ConfigurationError, match="PostgreSQL"):
        CircuitBreaker(store, store_timeout=None, push=True)
    with SqlStore(migrated_sqlite_url) as store, pytest.raises(ConfigurationError, match="PostgreSQL"):
        AsyncCircuitBreaker(ThreadedStore(store), push=True)
    with pytest.raises(ConfigurationError, match="push"):
        CircuitBreaker(InMemoryStore(), push=True)
    with SqlStore(migrated_postgres_url) as store, pytest.raises(ConfigurationError, match="max_staleness"):
        CircuitBreaker(store, store_timeout=None, push=True, max_staleness=0.0)
    with pytest.raises(ConfigurationError, match="URL"):
        AsyncCircuitBreaker(AsyncSqlStore(create_async_engine(migrated_postgres_url)), push=True)


def test_without_push_nothing_listens_and_nothing_is_told(
    url: str, namespace: str, observer: psycopg.Connection
) -> None:
    told = hearing(observer)
    with SqlStore(url, namespace=namespace) as store, CircuitBreaker(store, store_timeout=None) as breaker:
        breaker.force_open("b", LONG)
        assert breaker.push_state is None
        assert len(sessions(observer, namespace)) == 1
    assert not [payload for payload in told() if payload.startswith(digest_of(namespace, "b"))]
