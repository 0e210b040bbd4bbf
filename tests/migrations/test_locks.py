from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from cbstore_sql import StoreConflictError, migrate, migration_env
from cbstore_sql.migration import downgrade
from tests.migrations.databases import table_names


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits of milliseconds; the pauses between tries are noted, not made."""
    noted: list[float] = []
    monkeypatch.setattr(migration_env, "_LOCK_TIMEOUT", 0.01)
    monkeypatch.setattr(migration_env, "_TURN_TIMEOUT", 0.01)
    monkeypatch.setattr(migration_env, "sleep", noted.append)
    return noted


@contextmanager
def held(url: str, statement: str) -> Iterator[sa.Connection]:
    """Another session's transaction that has run a statement."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql(statement)
        yield connection


READING = {
    "postgresql": "SELECT * FROM cbstore.breakers",
    "sqlite": "BEGIN IMMEDIATE",
}


def impatient(url: str) -> sa.Engine:
    options = {"timeout": 0.01} if url.startswith("sqlite") else {}
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)


def test_a_table_that_stays_locked_is_given_up(empty_url: str, pauses: list[float]) -> None:
    migrate(empty_url)
    engine = impatient(empty_url)
    with held(empty_url, READING[engine.dialect.name]), pytest.raises(StoreConflictError, match="kept it locked"):
        downgrade(engine, "base")
    assert pauses == [1.0, 2.0, 3.0, 4.0]
    assert table_names(empty_url) == {"breakers", "cbstore_version"}


def test_a_table_that_becomes_free_is_migrated(
    empty_url: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty_url)
    engine = impatient(empty_url)
    with held(empty_url, READING[engine.dialect.name]) as other:

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            other.rollback()

        monkeypatch.setattr(migration_env, "sleep", pause)
        downgrade(engine, "base")
    assert pauses == [1.0]
    assert table_names(empty_url) == {"cbstore_version"}


def test_others_that_migrate_too_long_are_given_up(postgresql_url: str, pauses: list[float]) -> None:
    with sa.create_engine(postgresql_url, poolclass=sa.NullPool).connect() as connection:
        target = migration_env.Target(postgresql_url)
        migration_env._take_turn_postgresql(connection, target)
        with pytest.raises(StoreConflictError):
            migrate(postgresql_url)
        migrate(postgresql_url, schema="another")
    assert len(pauses) == 4
