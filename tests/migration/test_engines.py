"""Tests of migrations through an engine of the application."""

from __future__ import annotations

import logging
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import cbstore_sql
import cbstore_sql.migration
from cbstore_sql import SqlStore, migrate, prune
from cbstore_sql.cli import main
from cbstore_sql.migration import downgrade
from tests.migration.databases import execute, table_names

DONE = {"breakers", "cbstore_version"}


def begin_early(connection: Any, *_: Any) -> None:
    """A listener of an application that leaves a transaction open on each connection."""
    connection.cursor().execute("SELECT 1" if hasattr(connection, "pgconn") else "BEGIN")


def begin_by_hand(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


@pytest.mark.parametrize(("moment", "listener"), [("checkout", begin_early), ("begin", begin_by_hand)])
def test_a_transaction_begun_by_a_listener_does_not_disturb_the_migration(
    empty_url: str, moment: str, listener: Any
) -> None:
    engine = sa.create_engine(empty_url)
    sa.event.listen(engine, moment, listener)
    migrate(engine)
    engine.dispose()
    assert table_names(empty_url) == DONE


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_a_connection_returns_to_the_pool_with_its_settings_unchanged(empty_url: str, level: Any) -> None:
    engine = sa.create_engine(empty_url, isolation_level=level, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        before = (connection.get_isolation_level(), connection.connection.dbapi_connection)
    migrate(engine)
    with engine.connect() as connection:
        assert (connection.get_isolation_level(), connection.connection.dbapi_connection) == before
        if engine.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
    engine.dispose()


def test_a_migration_does_not_change_the_application_s_logging(
    empty_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def settings() -> list[Any]:
        loggers = [logging.getLogger(name) for name in ("", "alembic", "alembic.runtime.migration", "sqlalchemy")]
        return [(logger.level, logger.disabled, list(logger.handlers)) for logger in loggers]

    caplog.set_level(logging.WARNING, logger="alembic")
    before = settings()
    migrate(empty_url)
    assert settings() == before


def test_a_migration_is_logged_by_the_logger_alembic(empty_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="alembic")
    migrate(empty_url)
    assert "Running upgrade  -> 0001" in caplog.text


def test_migrate_is_the_function_and_not_the_module() -> None:
    assert cbstore_sql.migrate is cbstore_sql.migration.migrate
    assert callable(cbstore_sql.migrate)


def test_a_failed_migration_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sa.create_engine(empty_url, poolclass=sa.NullPool)

    def fail(_: sa.Connection, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT"):
            raise KeyboardInterrupt

    sa.event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(KeyboardInterrupt):
        migrate(engine)
    assert table_names(empty_url) == set()
    migrate(empty_url)
    downgrade(empty_url, "base")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has no autocommit before Python 3.12")
@pytest.mark.parametrize("autocommit", [True, False])
def test_a_sqlite_engine_with_either_autocommit_is_migrated_and_stays_unchanged(
    sqlite_url: str, autocommit: bool
) -> None:
    engine = sa.create_engine(sqlite_url, connect_args={"autocommit": autocommit})
    migrate(engine)
    with SqlStore(sqlite_url) as other, SqlStore(engine) as store:
        other.record_failure("b")
        store.record_failure("b")
        assert other.read("b").failure_count == 2
    assert prune(engine, idle_for=3600.0) == 0
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        assert driver.autocommit is autocommit
    migrate(engine)
    engine.dispose()


@pytest.mark.parametrize("query", ["prepare_threshold=0", "prepare_threshold=none", "connect_timeout=3"])
@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII", "LATIN1"])
def test_every_url_that_a_store_accepts_can_be_migrated_and_pruned(
    postgresql_url: str, query: str, encoding: str
) -> None:
    name = f"encoded_{uuid.uuid4().hex[:12]}"
    options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    execute(postgresql_url, f"CREATE DATABASE {name} {options}")
    url = f"{sa.make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)}?{query}"
    migrate(url)
    with SqlStore(url) as store:
        store.record_failure("b")
    assert prune(url, idle_for=3600.0) == 0
    downgrade(url, "base")
    execute(postgresql_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_file_uri_can_be_migrated_used_and_pruned(tmp_path: Path) -> None:
    url = f"sqlite:///file:{tmp_path}/b.db?uri=true"
    migrate(url)
    with SqlStore(url) as store:
        store.record_failure("b")
    assert prune(url, idle_for=3600.0) == 0
    assert main(["status", "--url", url]) == 0
    assert main(["migrate", "--check", "--url", url]) == 0
