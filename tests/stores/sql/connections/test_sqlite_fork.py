"""A fork during SQLite statements corrupts no file, locks out no child and loses no count."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    SqlStore,
    StoreError,
    StoreUnavailableError,
    migrate,
)
from cbstore_sql.stores.sql.connections import sqlite_fork
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.statements.statement import Statement
from tests.waiting import eventually

NEVER = BreakerPolicy(failure_threshold=10**6)
ENDLESS = Statement("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")


@pytest.fixture(params=["delete", "wal"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    with closing(sqlite3.connect(tmp_path / "breakers.db")) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
    return url


def forked(do: Callable[[], object]) -> int:
    """Run a function in a forked child, and return the child's process id."""
    child = os.fork()
    if child == 0:
        asyncio.events._set_running_loop(None)
        try:
            do()
        except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def went_well(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def is_whole(url: str) -> bool:
    with closing(sqlite3.connect(sa.make_url(url).database or "")) as connection:
        return list(connection.execute("PRAGMA integrity_check")) == [("ok",)]


@pytest.fixture
def counting(url: str) -> Iterator[tuple[SqlStore, Callable[[], int]]]:
    """Yield a store to which two threads write, and a function that stops them and returns the number of writes."""
    over = threading.Event()
    counts = [0, 0]
    with SqlStore(url, namespace=uuid.uuid4().hex) as store:
        store.reset("b")

        def work(number: int) -> None:
            while not over.is_set():
                store.record_failure("b", NEVER)
                counts[number] += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()

        def stop() -> int:
            over.set()
            for thread in threads:
                thread.join()
            return sum(counts)

        yield store, stop
        stop()


def test_children_write_while_the_parent_s_threads_do(counting: tuple[SqlStore, Callable[[], int]], url: str) -> None:
    store, stop = counting
    children = [forked(lambda: [store.record_failure("child", NEVER) for _ in range(20)]) for _ in range(5)]
    assert [went_well(child) for child in children] == [True] * len(children)
    assert store.read("b").failure_count <= stop()
    assert store.read("b").failure_count == stop(), "a statement interrupted or refused by a fork is repeated"
    assert store.read("child").failure_count == 100
    assert is_whole(url)


def test_a_child_of_an_event_loop_writes_while_the_parent_s_tasks_do(url: str) -> None:
    async def main() -> None:
        async with AsyncSqlStore(url, namespace="n") as store:
            await store.reset("b")
            failing = [asyncio.ensure_future(store.record_failure("b", NEVER)) for _ in range(100)]
            children = []
            for _ in range(3):
                await asyncio.sleep(0)
                children.append(forked(lambda: asyncio.run(store.record_failure("child", NEVER))))
            await asyncio.gather(*failing)
            assert [went_well(child) for child in children] == [True] * len(children)
            assert (await store.read("b")).failure_count == 100
            assert (await store.read("child")).failure_count == 3

    asyncio.run(main())
    assert is_whole(url)


def test_a_parent_that_closes_its_store_takes_no_lock_from_its_child(url: str) -> None:
    """If the child inherited the connection, it would lose its lock, and two processes would write at once."""
    store = SqlStore(url, namespace="n", max_breakers=None)
    store.record_failure("a", NEVER)
    begun, go_on = os.pipe(), os.pipe()

    def work() -> None:
        store.record_failure("a", NEVER)
        os.write(begun[1], b"!")
        os.read(go_on[0], 1)
        for number in range(300):
            store.record_failure(f"child-{number}")

    child = forked(work)
    os.read(begun[0], 1)
    store.close()
    os.write(go_on[1], b"!")
    with SqlStore(url, namespace="n", max_breakers=None) as other:
        for number in range(300):
            other.record_failure(f"other-{number}")
        assert went_well(child)
        assert other.read("a").failure_count == 2
        assert len(other.read_all()) == 601
    assert is_whole(url)
    for end in (*begun, *go_on):
        os.close(end)


def test_a_statement_that_outlasts_the_wait_of_a_fork_is_interrupted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_fork, "WAIT", 0.05)
    interrupted: list[BaseException] = []
    with SqlStore(url, namespace="n") as store:
        pool: Any = store._connections
        lease = pool._take([])

        def work() -> None:
            try:
                lease.execute(Query(ENDLESS, {}), prepare=False)
            except sqlite3.OperationalError as error:
                interrupted.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert eventually(lease._raw.lock.locked)
        child = forked(lambda: store.record_failure("b", NEVER))
        thread.join()
        assert went_well(child)
        assert str(interrupted[0]) == "interrupted"
        lease.discard()
        assert store.record_failure("b", NEVER).snapshot.failure_count == 2  # type: ignore[union-attr] # it counts


def refused(ask: Callable[[], object], caplog: pytest.LogCaptureFixture) -> None:
    """Call a function twice in a child that must not open the file. Expect two errors and one log line."""
    for _ in range(2):
        try:
            ask()
        except StoreUnavailableError as error:
            assert "at the fork" in str(error)  # noqa: PT017 - the child has no pytest around it
            assert error.applied is False  # noqa: PT017
        else:
            raise AssertionError
    assert [record.levelno for record in caplog.records if record.name == "cbstore_sql"].count(logging.ERROR) == 1


def test_a_child_refuses_a_file_whose_statement_could_not_be_ended(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_fork, "WAIT", 0.05)
    monkeypatch.setattr(sqlite_fork, "GRACE", 0.05)
    with SqlStore(url, namespace="n") as store:
        store.record_failure("b", NEVER)
        pool: Any = store._connections
        with pool._free[0]._raw.lock:
            child = forked(lambda: refused(lambda: store.record_failure("b", NEVER), caplog))
            assert went_well(child)
        store.record_failure("b", NEVER)
        assert store.read("b").failure_count == 2, "the parent goes on"


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_child_refuses_a_file_that_the_application_s_engine_has_open(
    url: str, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    if colour == "sync":
        engine = sa.create_engine(url)
        store = SqlStore(engine, namespace="n")
        store.record_failure("b", NEVER)
        assert went_well(forked(lambda: refused(lambda: store.record_failure("b", NEVER), caplog)))
        with CircuitBreaker(store) as breaker:
            assert went_well(forked(lambda: breaker.call("b", lambda: "made") == "made" or os._exit(2)))
        engine.dispose()
        assert went_well(forked(lambda: store.record_failure("b", NEVER))), "nothing is open"
        engine.dispose()
        return

    async def main() -> None:
        engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
        store = AsyncSqlStore(engine, namespace="n")
        await store.record_failure("b", NEVER)
        ask = lambda: asyncio.run(store.record_failure("b", NEVER))  # noqa: E731 - what the child does
        assert went_well(forked(lambda: refused(ask, caplog)))
        assert (await store.read("b")).failure_count == 1
        await engine.dispose()

    asyncio.run(main())


def test_a_child_refuses_a_file_that_other_code_has_open(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with SqlStore(url, namespace="n") as store, closing(sqlite3.connect(sa.make_url(url).database or "")) as other:
        other.execute("SELECT count(*) FROM breakers").fetchall()
        assert went_well(forked(lambda: refused(lambda: store.read("b"), caplog)))


def test_a_fork_logs_nothing_about_a_store_that_was_never_used(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = SqlStore(url, namespace="n")

    def work() -> None:
        store.record_failure("b", NEVER)
        assert not caplog.records

    assert went_well(forked(work))
    with pytest.raises(StoreError, match="no SQLite file"):
        SqlStore(f"{url}-missing").read("b")
