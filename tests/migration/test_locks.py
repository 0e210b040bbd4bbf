from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import StoreConflictError, migrate
from cbstore_sql.migration import downgrade
from cbstore_sql.migration import runner as migration_env
from tests.migration.databases import table_names
from tests.waiting import eventually


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Shorten the waits to milliseconds, and record the pauses between attempts instead of making them."""
    noted: list[float] = []
    monkeypatch.setattr(migration_env, "_LOCK_TIMEOUT", 0.01)
    monkeypatch.setattr(migration_env, "_TURN_TIMEOUT", 0.01)
    monkeypatch.setattr(migration_env, "sleep", noted.append)
    return noted


@contextmanager
def held(url: str, statement: str) -> Iterator[sa.Connection]:
    """Run a statement in a transaction of another session, and keep the transaction open."""
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


def test_a_table_that_stays_locked_raises_a_conflict_error(empty_url: str, pauses: list[float]) -> None:
    migrate(empty_url)
    engine = impatient(empty_url)
    with held(empty_url, READING[engine.dialect.name]), pytest.raises(StoreConflictError, match="kept it locked"):
        downgrade(engine, "base")
    assert [0.0 < pause <= longest for pause, longest in zip(pauses, (1.0, 2.0, 4.0, 4.0), strict=True)] == [True] * 4
    assert table_names(empty_url) == {"breakers", "cbstore_version"}


def test_the_migration_continues_after_a_lock_of_the_table_ends(
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
    assert len(pauses) == 1
    assert table_names(empty_url) == {"cbstore_version"}


def test_a_migration_by_another_process_that_lasts_too_long_raises_a_conflict_error(
    postgresql_url: str, pauses: list[float]
) -> None:
    with sa.create_engine(postgresql_url, poolclass=sa.NullPool).connect() as connection:
        target = migration_env.Target(postgresql_url)
        migration_env._take_turn_postgresql(connection, target)
        with pytest.raises(StoreConflictError):
            migrate(postgresql_url)
        migrate(postgresql_url, schema="another")
    assert len(pauses) == 4


def test_the_server_limits_each_wait_for_a_lock(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url, poolclass=sa.NullPool)
    bounds: list[tuple[str, str]] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(connection: sa.Connection, _: object, statement: str, *__: object) -> None:
        if "pg_advisory" in statement or statement.lstrip().startswith("CREATE TABLE"):
            cursor = connection.connection.cursor()
            cursor.execute("SHOW lock_timeout")
            bounds.append((statement.split(maxsplit=1)[0], cursor.fetchall()[0][0]))

    migrate(engine)
    assert bounds == [("SELECT", "1min"), ("CREATE", "5s"), ("CREATE", "5s")]


def test_on_sqlite_the_migration_locks_the_file_before_its_first_read(sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url, poolclass=sa.NullPool)
    refused: list[str] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def write(_: sa.Connection, __: object, statement: str, *___: object) -> None:
        if not statement.startswith("BEGIN"):
            with closing(sqlite3.connect(str(engine.url.database), timeout=0)) as other:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
                refused.append(statement)

    migrate(engine)
    assert any("breakers" in statement for statement in refused)


def test_a_short_statement_timeout_of_the_role_does_not_end_a_migration(postgresql_url: str) -> None:
    """The wait for another migration takes longer than the statement timeout of the role."""
    url = sa.make_url(postgresql_url).update_query_dict({"options": "-c statement_timeout=300"})
    key = hashlib.blake2b(b"cbstore:cbstore", digest_size=8).digest()
    lock = f"SELECT pg_advisory_lock({int.from_bytes(key, 'big', signed=True)})"
    plain = postgresql_url.replace("+psycopg", "")
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(plain, autocommit=True) as holder, ThreadPoolExecutor(1) as threads:
        holder.execute(lock.encode())
        migrating = threads.submit(migrate, url)
        assert eventually(lambda: holder.execute(waiting).fetchone() is not None)
        holder.execute("SELECT pg_sleep(0.5)")
        holder.execute("SELECT pg_advisory_unlock_all()")
        migrating.result(timeout=30.0)
    assert table_names(postgresql_url) == {"breakers", "cbstore_version"}
