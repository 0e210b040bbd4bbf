"""Tests of the file of a SQLite store: path, URI, and a file that is deleted, replaced or read-only."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import AsyncSqlStore, ConfigurationError, SchemaError, SqlStore, StoreUnavailableError, migrate
from cbstore_sql.stores.sql.connections.sqlite_file import SqliteFile, absolute, path_of
from tests.stores.contract.blocking import Blocking
from tests.waiting import eventually


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////data/b.db", "/data/b.db"),
        ("sqlite:///file:/data/b.db?uri=true", "/data/b.db"),
        ("sqlite:///file:///data/b.db?uri=true", "/data/b.db"),
        ("sqlite:///file://localhost/data/b.db?uri=true", "/data/b.db"),
        ("sqlite:///file:b.db?uri=true", "{cwd}/b.db"),
        ("sqlite:///b.db", "{cwd}/b.db"),
        ("sqlite:///file:b.db", "{cwd}/file:b.db"),
    ],
)
def test_the_path_of_a_url_is_absolute(url: str, path: str) -> None:
    expected = path.format(cwd=os.getcwd())
    assert path_of(make_url(url)) == expected
    assert path_of(absolute(make_url(url))) == expected


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:shared?mode=memory&cache=shared&uri=true",
        "sqlite:///file:/x?vfs=memdb&uri=true",
    ],
)
@pytest.mark.parametrize("use", [SqlStore, AsyncSqlStore, migrate])
def test_a_database_in_memory_is_refused(url: str, use: Any) -> None:
    with pytest.raises(ConfigurationError, match="InMemoryStore"):
        use(url)


def test_the_path_of_a_file_uri_is_decoded() -> None:
    url = make_url("sqlite:///x").set(database="file:/data/a%20b.db").update_query_dict({"uri": "true", "mode": "ro"})
    assert path_of(url) == path_of(absolute(url)) == "/data/a b.db"


def test_a_relative_path_means_the_directory_at_the_construction_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    migrate("sqlite:///b.db")
    with SqlStore("sqlite:///b.db") as store:
        monkeypatch.chdir("/")
        store.record_failure("b")
    assert not Path("/b.db").exists()


def test_is_open_here_is_true_while_this_process_has_the_file_open(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    file = SqliteFile(make_url(f"sqlite:///{path}"))
    assert not file.is_open_here()
    with path.open("w"):
        assert file.is_open_here()
    assert not file.is_open_here()


@pytest.fixture(params=["store", "engine", "async store", "async engine"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A store of each kind over an existing file."""
    url = f"sqlite:///{tmp_path}/b.db"
    migrate(url)
    if request.param == "engine":
        engine = sa.create_engine(url)
        yield SqlStore(engine)
        engine.dispose()
    elif request.param == "store":
        with SqlStore(url) as store:
            yield store
    else:
        with Blocking(lambda: _async_store(request.param, url)) as blocking:
            yield blocking
            inner: Any = blocking.store
            blocking.loop.wait(inner._engine.dispose())
            if request.param == "async engine":
                # The thread of a connection answers the loop once more at its end, so the loop must still run then.
                assert eventually(lambda: not any("_connection_worker" in each.name for each in threading.enumerate()))


def _async_store(kind: str, url: str) -> AsyncSqlStore:
    if kind == "async store":
        return AsyncSqlStore(url)
    return AsyncSqlStore(create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:")))


def remove(path: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_replaced_file_is_opened_again(opened: Any, journal: str, tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    opened.record_failure("b")
    remove(path)
    migrate(f"sqlite:///{path}")
    with SqlStore(f"sqlite:///{path}") as other:
        other.force_open("b", 60.0)
        assert opened.read("b").state == "open"
        opened.record_failure("c")
        assert other.read("c").failure_count == 1


def test_a_deleted_file_raises_an_error_and_is_not_created_again(opened: Any, tmp_path: Path) -> None:
    opened.record_failure("b")
    remove(tmp_path / "b.db")
    for _ in range(2):
        with pytest.raises(SchemaError, match="no SQLite file"):
            opened.record_failure("b")
        with pytest.raises(SchemaError, match="no SQLite file"):
            opened.read("b")
    assert not (tmp_path / "b.db").exists()


@pytest.mark.parametrize("store", [SqlStore, lambda url: Blocking(lambda: AsyncSqlStore(url))], ids=["sync", "async"])
def test_a_write_to_a_read_only_file_raises_an_error_that_says_so(store: Any, tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/b.db")
    with store(f"sqlite:///file:{tmp_path}/b.db?mode=ro&uri=true") as opened:
        assert opened.read("b").failure_count == 0
        with pytest.raises(StoreUnavailableError, match="read-only") as caught:
            opened.record_failure(uuid.uuid4().hex)
        assert caught.value.applied is False
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
