"""Migrating through the application's own engine."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import sqlalchemy as sa

import cbstore_sql
import cbstore_sql.migration
from cbstore_sql import migrate
from cbstore_sql.migration import downgrade
from tests.migration.databases import table_names

DONE = {"breakers", "cbstore_version"}


def begin_early(connection: Any, *_: Any) -> None:
    """What an application's listener may do: leave a transaction open on every connection it hands out."""
    connection.cursor().execute("SELECT 1" if hasattr(connection, "pgconn") else "BEGIN")


def begin_by_hand(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


@pytest.mark.parametrize(("moment", "listener"), [("checkout", begin_early), ("begin", begin_by_hand)])
def test_a_transaction_begun_by_a_listener_does_no_harm(empty_url: str, moment: str, listener: Any) -> None:
    engine = sa.create_engine(empty_url)
    sa.event.listen(engine, moment, listener)
    migrate(engine)
    engine.dispose()
    assert table_names(empty_url) == DONE


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_a_pooled_connection_goes_back_as_it_came(empty_url: str, level: Any) -> None:
    engine = sa.create_engine(empty_url, isolation_level=level, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        before = (connection.get_isolation_level(), connection.connection.dbapi_connection)
    migrate(engine)
    with engine.connect() as connection:
        assert (connection.get_isolation_level(), connection.connection.dbapi_connection) == before
        if engine.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
    engine.dispose()


def test_the_applications_logging_is_left_alone(empty_url: str, caplog: pytest.LogCaptureFixture) -> None:
    def settings() -> list[Any]:
        loggers = [logging.getLogger(name) for name in ("", "alembic", "alembic.runtime.migration", "sqlalchemy")]
        return [(logger.level, logger.disabled, list(logger.handlers)) for logger in loggers]

    caplog.set_level(logging.WARNING, logger="alembic")
    before = settings()
    migrate(empty_url)
    assert settings() == before


def test_the_application_hears_of_a_migration_if_it_listens(empty_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="alembic")
    migrate(empty_url)
    assert "Running upgrade  -> 0001" in caplog.text


def test_migrate_is_the_function_whatever_was_imported_before() -> None:
    assert cbstore_sql.migrate is cbstore_sql.migration.migrate
    assert callable(cbstore_sql.migrate)


def test_nothing_is_left_of_a_migration_that_fails_half_way(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
