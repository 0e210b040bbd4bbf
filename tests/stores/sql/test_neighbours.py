"""The store does not change the application's transaction, settings and engine."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cbstore_sql import (
    BreakerPolicy,
    CircuitBreaker,
    ConfigurationError,
    SchemaError,
    SqlStore,
    StoreUnavailableError,
    UnstorableNameError,
    migrate,
)
from cbstore_sql.events import StoreDegraded
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement

NEVER = BreakerPolicy(failure_threshold=1000)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def test_the_store_shares_the_application_s_engine_and_does_not_close_it(engine: Engine) -> None:
    with SqlStore(engine) as store:
        store.read("b")
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined] # of the pool that both dialects use here
    with engine.connect() as connection:
        assert connection.scalar(sa.select(1)) == 1


def test_a_connection_returns_to_the_pool_with_its_settings_unchanged(engine: Engine) -> None:
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        mode = "autocommit" if engine.dialect.name == "postgresql" else "isolation_level"
        before = getattr(driver, mode)
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.record_failure("b")
    store.reset("b")
    with engine.connect() as connection:
        same: Any = connection.connection.driver_connection
        assert same is driver
        assert getattr(same, mode) == before


def test_a_connection_returns_to_the_pool_with_its_settings_unchanged_after_an_error(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with pytest.raises(SchemaError):
        SqlStore(engine, schema="nowhere").read("b")
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        assert not driver.autocommit
    engine.dispose()


@pytest.mark.parametrize("pool", [sa.StaticPool, sa.SingletonThreadPool])
def test_an_engine_that_may_share_one_connection_with_the_caller_is_refused(
    tmp_path: Path, pool: type[sa.Pool]
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/x.db", poolclass=pool)
    with pytest.raises(ConfigurationError, match=pool.__name__):
        SqlStore(engine)


def test_a_rolled_back_application_transaction_loses_no_count(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url)
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE mine (n int)"))
        connection.execute(sa.text("SET LOCAL application_name = 'mine'"))
        store.record_failure("b", NEVER)
        assert connection.in_transaction()
        assert connection.scalar(sa.text("SHOW application_name")) == "mine"
        assert connection.scalar(sa.text("SELECT count(*) FROM mine")) == 0
        connection.rollback()
    assert store.read("b").failure_count == 1
    engine.dispose()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_stricter_default_isolation_level_loses_no_count(migrated_postgres_url: str, level: str) -> None:
    options = f"-c default_transaction_isolation={level}".replace(" r", "\\ r")
    engine = sa.create_engine(migrated_postgres_url, connect_args={"options": options}, pool_size=8)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == level
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.reset("b")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.record_failure("b", NEVER), range(160)))
    assert store.read("b").failure_count == 160
    store.force_open("b", 0.0, now=1000.0)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: store.claim_probe("b", now=1000.0), range(16)))
    assert sum(claim is not None for claim in claims) == 1
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == level
    engine.dispose()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize(
    "listener", ["SET app.tenant = '7'", "SELECT set_config('app.tenant', '7', false)", "SET search_path = public"]
)
def test_a_stricter_isolation_level_with_a_listener_that_runs_statements_loses_no_count(
    migrated_postgres_url: str, level: str, listener: str
) -> None:
    engine = sa.create_engine(migrated_postgres_url, pool_size=8, isolation_level=level)

    @sa.event.listens_for(engine, "checkout")
    def speak(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(listener)

    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.reset("b")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.record_failure("b", NEVER), range(160)))
    assert store.read("b").failure_count == 160
    engine.dispose()


def test_a_listener_whose_transaction_failed_loses_no_count(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url)

    @sa.event.listens_for(engine, "checkout")
    def fail(connection: Any, _record: Any, _proxy: Any) -> None:
        with suppress(psycopg.Error):
            connection.execute("SELECT 1 / 0")

    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.record_failure("b", NEVER)
    assert store.read("b").failure_count == 1
    engine.dispose()


def test_a_listener_that_begins_a_transaction_on_check_out_loses_no_count(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url)

    @sa.event.listens_for(engine, "checkout")
    def begin(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("SELECT 1")

    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.record_failure("b", NEVER)
    with SqlStore(migrated_postgres_url, namespace=store.namespace) as other:
        assert other.read("b").failure_count == 1
    engine.dispose()


def test_a_full_pool_raises_an_error_that_names_the_pool(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05)
    store = SqlStore(engine)
    with engine.connect(), pytest.raises(StoreUnavailableError, match="pool") as caught:
        store.record_failure("b")
    assert caught.value.applied is False
    engine.dispose()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_an_error_returns_the_connection_to_the_pool(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    empty = f"sqlite:///{tmp_path}/empty.db"
    engine = sa.create_engine(empty if dialect == "sqlite" else request.getfixturevalue("postgres_url"))
    with pytest.raises(SchemaError):
        SqlStore(engine, schema="nowhere").record_failure("b")
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined] # of the pool that both dialects use here
    engine.dispose()


def test_names_are_stored_unchanged_with_any_client_encoding(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url, connect_args={"client_encoding": "latin1"})
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.force_open("Café", 0.0, now=1000.0)
    claim = store.claim_probe("Café", token="é", now=1000.0)
    assert claim is not None
    assert claim.permit.token == "é"
    with SqlStore(migrated_postgres_url, namespace=store.namespace) as other:
        assert other.read_many(["Café"])["Café"].probe_token == "é"
    assert store.read_many(["Café"])["Café"].probe_token == "é"
    engine.dispose()


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """The URL of a migrated database with another encoding than UTF-8."""
    name = f"encoded_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        options = f"ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        admin.execute(f"CREATE DATABASE {name} {options}".encode())
        url = sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        migrate(url)
        yield url
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("kind", ["store", "engine"])
def test_a_database_with_another_encoding_loses_no_count(encoded: str, kind: str) -> None:
    utf8 = {"client_encoding": "utf8"}
    engine = sa.create_engine(encoded, connect_args=utf8)
    with SqlStore(encoded if kind == "store" else engine, namespace="Käse") as store:
        for name in ("plain", "Café"):
            store.record_failure(name, NEVER)
            store.record_failure(name, NEVER)
        found = store.read_many(["plain", "Café", "new"])
        assert [found[name].failure_count for name in ("plain", "Café", "new")] == [2, 2, 0]
        assert {snapshot.name for _, snapshot in store.read_all()} == {"plain", "Café"}
    engine.dispose()


@pytest.mark.parametrize("encoded", ["LATIN1"], indirect=True)
@pytest.mark.parametrize("kind", ["store", "engine", "engine in LATIN1"])
def test_a_name_that_the_database_cannot_encode_does_not_affect_other_breakers(
    encoded: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(encoded, connect_args={"client_encoding": "latin1" if "LATIN1" in kind else "utf8"})
    store = SqlStore(encoded if kind == "store" else engine)

    def fail() -> None:
        raise ConnectionError

    degraded: list[object] = []
    with CircuitBreaker(store, NEVER, max_staleness=0, listeners=[degraded.append]) as breaker:
        for name in ("支付", "支付", "plain"):
            assert breaker.call(name, lambda: "made") == "made"
            with pytest.raises(ConnectionError):
                breaker.call(name, fail)
        assert not [event for event in degraded if isinstance(event, StoreDegraded)]
        assert [record.levelname for record in caplog.records] == ["ERROR"], "said once"
    assert store.read("plain").failure_count == 1
    assert {name: row.failure_count for name, row in store.read_many(["支付", "plain"]).items()} == {
        "支付": 0,
        "plain": 1,
    }
    with pytest.raises(UnstorableNameError, match="encoding"):
        store.force_open("支付", 1.0)
    store.close()
    engine.dispose()


def test_relaxed_durability_keeps_the_options_of_the_environment(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=123kB")
    with SqlStore(migrated_postgres_url, durability="relaxed", namespace=uuid.uuid4().hex) as store:
        question = "SELECT current_setting('work_mem') || ' ' || current_setting('synchronous_commit')"
        statement = Statement(question, (), [TEXT])
        assert store._execute(Query(statement, {}, durable=False)) == [("123kB off",)]
        assert store._execute(Query(statement, {}, durable=True)) == [("123kB on",)]
        store.record_failure("b", NEVER)
        assert store.read("b").failure_count == 1


def test_a_search_path_with_functions_of_the_same_names_has_no_effect(migrated_postgres_url: str) -> None:
    schema = f"shadow_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}".encode())
        for signature, value in (
            ("clock_timestamp() RETURNS timestamptz", "'epoch'::timestamptz"),
            ("date_part(text, timestamptz) RETURNS float8", "1.0::float8"),
            ("octet_length(text) RETURNS int", "0"),
            ("json_array_elements_text(json) RETURNS text", "'nothing'::text"),
            ("pg_notify(text, text) RETURNS void", "NULL"),
        ):
            body = f"CREATE FUNCTION {schema}.{signature} LANGUAGE sql AS $$ SELECT {value} $$"
            admin.execute(body.encode())
        options = f"-c search_path={schema},pg_catalog"
        url = sa.make_url(migrated_postgres_url).update_query_dict({"options": options})
        with SqlStore(url, namespace=uuid.uuid4().hex) as store:
            store.record_failure("b", NEVER)
            row = store.read_many(["b"])["b"]
            assert row.failure_count == 1
            assert row.last_failure_time > 1e9
            assert row.as_of > 1e9
        admin.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def test_a_client_encoding_changed_on_a_pooled_connection_is_respected(
    migrated_postgres_url: str,
) -> None:
    engine = sa.create_engine(migrated_postgres_url, pool_size=1, max_overflow=0)
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    for number, encoding in enumerate(("utf8", "latin1", "utf8"), start=1):
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SET client_encoding = {encoding}")
            connection.commit()
        store.record_failure("Café", NEVER)
        assert store.read_many(["Café"])["Café"].failure_count == number
    with SqlStore(migrated_postgres_url, namespace=store.namespace) as other:
        assert other.read("Café").failure_count == 3
    engine.dispose()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has no autocommit before Python 3.12")
def test_an_engine_with_autocommit_false_loses_no_count(migrated_sqlite_url: str) -> None:
    engine = sa.create_engine(migrated_sqlite_url, connect_args={"autocommit": False})
    with SqlStore(engine) as store:
        store.record_failure("b")
    engine.dispose()
    with SqlStore(migrated_sqlite_url) as store:
        assert store.read("b").failure_count == 1
