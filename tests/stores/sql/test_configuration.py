from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import ConfigurationError, SchemaError, SqlStore, StoreUnavailableError, make_store

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url at all",
        f"mysql://u:{SECRET}@h/db",
        f"postgresql+asyncpg://u:{SECRET}@h/db",
        f"postgresql://u:{SECRET}@h:port/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_an_invalid_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SqlStore(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@a:5432,b:5432/db",
        "postgresql+psycopg://a:5432,b:5432/db",
        f"postgresql://u:{SECRET}@/db?host=a:5432,b:5432",
        sa.make_url(f"postgresql://u:{SECRET}@/db?host=a:5432,b:5432"),
    ],
)
def test_several_hosts_in_another_notation_are_refused_with_the_notation_to_write(url: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\?host=a:5432&host=b:5432") as caught:
        SqlStore(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("hosts", ["@/db?host=a:5432&host=b:5432", "@/db?host=a,b&port=5432,5433", "@a,b/db"])
def test_several_hosts_are_accepted_in_the_notation_of_sqlalchemy(hosts: str) -> None:
    SqlStore(f"postgresql://u:{SECRET}{hosts}").close()


@pytest.mark.parametrize("schema", ["", "Upper", "a-b", 'x"; drop', "a" * 64, "1a", "é", None])
def test_a_schema_name_that_needs_quoting_is_refused(schema: Any) -> None:
    with pytest.raises(ConfigurationError):
        SqlStore("sqlite:///x.db", schema=schema)


def test_exactly_one_database_is_needed() -> None:
    with pytest.raises(ConfigurationError):
        SqlStore()
    with pytest.raises(ConfigurationError):
        SqlStore("sqlite:///x.db", url="sqlite:///y.db")


def test_an_engine_of_another_database_is_refused() -> None:
    engine = sa.create_engine("sqlite+aiosqlite:///x.db")
    with pytest.raises(ConfigurationError):
        SqlStore(engine)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_url_without_a_driver_means_psycopg(scheme: str) -> None:
    with SqlStore(f"{scheme}://u:{SECRET}@127.0.0.1:1/db") as store:
        assert store._engine.dialect.driver == "psycopg"


def test_a_store_and_its_errors_show_no_secret() -> None:
    with SqlStore(f"postgresql://u:{SECRET}@127.0.0.1:1/db?sslpassword={SECRET}") as store:
        assert SECRET not in repr(store)
        with pytest.raises(StoreUnavailableError) as caught:
            store.read("b")
    assert SECRET not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_missing_table_names_the_command(tmp_path: Path) -> None:
    with SqlStore(f"sqlite:///{tmp_path}/empty.db") as store, pytest.raises(SchemaError, match="cbstore migrate"):
        store.record_failure("b")


@pytest.mark.parametrize("keyword", ["url", "engine"])
def test_make_store_takes_a_url_or_an_engine(tmp_path: Path, keyword: str) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    engine = sa.create_engine(url)
    with make_store("sql", **{keyword: {"url": url, "engine": engine}[keyword]}, namespace="n") as store:
        assert isinstance(store, SqlStore)
        assert store.namespace == "n"
    engine.dispose()


def test_make_store_takes_a_url_in_place_of_the_name(tmp_path: Path) -> None:
    with make_store(f"sqlite:///{tmp_path}/x.db", namespace="n") as store:
        assert isinstance(store, SqlStore)


def test_make_store_needs_a_database_for_sql() -> None:
    with pytest.raises(ValueError, match="URL or an engine"):
        make_store("sql")


ABSURD = ["'NaN'", "'Infinity'", "'-Infinity'", "-1"]


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("column", ["open_until", "last_failure_time", "probe_until", "open_seconds"])
def test_no_row_can_hold_an_absurd_time(migrated_postgres_url: str, column: str, value: str) -> None:
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", "")) as connection:
        statement = f"INSERT INTO cbstore.breakers (namespace, name, {column}) VALUES ('absurd', 'b', {value})"
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "values", ["'x', 'broken', 0", "'x', 'open', -1", f"'x', 'open', {2**53 + 1}", f"'{'x' * 513}', 'open', 0"]
)
def test_no_row_can_hold_an_absurd_state_count_or_name(url: str, values: str) -> None:
    engine = sa.create_engine(url)
    table = "breakers" if engine.dialect.name == "sqlite" else "cbstore.breakers"
    statement = f"INSERT INTO {table} (namespace, name, state, failure_count) VALUES ('absurd', {values})"
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(sa.text(statement))
    engine.dispose()
