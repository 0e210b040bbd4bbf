"""A statement abandoned at its deadline ends on the server. Its session counts as used until then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, SqlStore, StoreUnavailableError
from cbstore_sql.deadline import within
from cbstore_sql.stores.sql.connections import cancel
from tests.stores.contract.backends import open_store
from tests.system.faults.proxy import FaultProxy
from tests.waiting import eventually

NEVER = BreakerPolicy(failure_threshold=10**6)
LIMIT = 15
"""The pool's five connections and ten more."""


class Server:
    """Reads from the server which sessions with one application name exist."""

    def __init__(self, url: str) -> None:
        self.plain = url.replace("+psycopg", "")
        self.application = f"app_{uuid.uuid4().hex[:12]}"
        named = sa.make_url(url).update_query_dict({"application_name": self.application})
        self.url = named.render_as_string(hide_password=False)

    def sessions(self, *, waiting: bool = False) -> int:
        question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        question += " AND wait_event_type = 'Lock'" if waiting else ""
        with psycopg.connect(self.plain, autocommit=True) as observer:
            row = observer.execute(question.encode(), [self.application]).fetchone()
        assert row is not None
        return int(row[0])

    def session_ids(self) -> set[int]:
        question = b"SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        with psycopg.connect(self.plain, autocommit=True) as observer:
            return {int(row[0]) for row in observer.execute(question, [self.application])}

    @contextmanager
    def locked(self, namespace: str) -> Iterator[None]:
        with psycopg.connect(self.plain) as holder:
            holder.execute("SELECT FROM cbstore.breakers WHERE namespace = %s FOR UPDATE", [namespace])
            yield
            holder.rollback()


@pytest.fixture
def server(migrated_postgres_url: str) -> Server:
    return Server(migrated_postgres_url)


@pytest.fixture(params=["as installed", "without PQcancelStart", "psycopg's C code without PQcancelStart"])
def libpq(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with each way to cancel a statement."""
    if request.param != "as installed":
        monkeypatch.setattr(psycopg.pq, "version", lambda: 150000)
        monkeypatch.setattr(psycopg.pq, "__impl__", "c" if "C code" in request.param else "python")
    return str(request.param)


def abandon(store: Any) -> bool | None:
    with within(0.1), pytest.raises(StoreUnavailableError) as caught:
        store.record_failure("b", NEVER)
    return caught.value.applied


@pytest.mark.parametrize("colour", ["", "async-"])
@pytest.mark.parametrize("libpq", ["as installed", "without PQcancelStart"], indirect=True)
def test_abandoned_statements_use_at_most_as_many_sessions_as_the_pool_allows(
    colour: str, libpq: str, server: Server
) -> None:
    most = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        before = server.session_ids()
        while not over.is_set():
            # PostgreSQL lists a session for a moment after its end, so two equal readings in a row count.
            now = server.session_ids()
            most, before = max(most, len(before & now)), now

    with open_store(f"{colour}postgresql", server.url, uuid.uuid4().hex) as store:
        store.reset("b")
        with ThreadPoolExecutor(31) as threads, server.locked(store.namespace):
            watching = threads.submit(watch)
            for _ in range(3):
                for each in [threads.submit(abandon, store) for _ in range(30)]:
                    each.result()
            assert eventually(lambda: server.sessions(waiting=True) == 0), "while the row is still locked"
            over.set()
            watching.result()
        assert 1 < most <= LIMIT
        assert eventually(lambda: store.record_failure("b", NEVER) is not None)
        assert store.read("b").failure_count == 1


def test_the_server_ends_the_session_of_an_abandoned_statement(libpq: str, server: Server) -> None:
    with SqlStore(server.url, namespace=uuid.uuid4().hex) as store:
        store.reset("b")
        with server.locked(store.namespace):
            assert abandon(store) is None
            assert eventually(lambda: server.sessions(waiting=True) == 0)
        assert store.read("b").failure_count == 0


def test_an_application_s_engine_keeps_the_connection_until_the_server_ended_the_session(server: Server) -> None:
    engine = sa.create_engine(server.url, pool_size=1, max_overflow=0)
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.reset("b")
    with server.locked(store.namespace):
        for _ in range(3):
            abandon(store)
            assert server.sessions() <= 1
    assert eventually(lambda: server.sessions(waiting=True) == 0)
    assert eventually(lambda: engine.pool.checkedout() == 0)  # type: ignore[attr-defined] # of the pool used here
    assert store.record_failure("b", NEVER) is not None
    engine.dispose()


def test_without_a_thread_for_cancelling_the_place_in_the_pool_is_free_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with SqlStore(server.url, namespace=uuid.uuid4().hex) as store:
        store.reset("b")
        with server.locked(store.namespace), within(0.1), monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(StoreUnavailableError):
                store.record_failure("b", NEVER)
            pool: Any = store._connections
            assert pool._slots.qsize() == LIMIT
            assert eventually(lambda: server.sessions(waiting=True) == 0), "the server looks for its client"
        store.record_failure("b", NEVER)
        assert store.read("b").failure_count == 1


def test_a_server_that_does_not_answer_the_cancel_request_keeps_no_place_in_the_pool(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "SECONDS", 0.2)
    with (
        FaultProxy(server.url) as proxy,
        SqlStore(proxy.url(server.url), namespace=uuid.uuid4().hex) as store,
    ):
        store.reset("b")
        proxy.switch("hole")
        for _ in range(3):
            with within(0.05), pytest.raises(StoreUnavailableError):
                store.read("b")
        pool: Any = store._connections
        assert eventually(lambda: pool._slots.qsize() == LIMIT)
        proxy.heal()
        assert store.read("b").failure_count == 0


PROGRAM = """
import sys, threading
from cbstore_sql import SqlStore, StoreUnavailableError
from cbstore_sql.deadline import within

store = SqlStore(sys.argv[1], namespace=sys.argv[2])
store.read("b")

def work():
    try:
        with within({seconds}):
            store.record_failure("b")
    except StoreUnavailableError:
        pass

threads = [threading.Thread(target=work, daemon=True) for _ in range(5)]
for thread in threads:
    thread.start()
if {seconds} < 1:
    for thread in threads:
        thread.join()
else:
    print("at work", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["exits after its deadlines", "exits at work", "is killed at work"])
def test_no_session_remains_after_the_end_of_the_process(end: str, server: Server) -> None:
    namespace = uuid.uuid4().hex
    with SqlStore(server.url, namespace=namespace) as store:
        store.reset("b")
    with server.locked(namespace):
        code = PROGRAM.format(seconds=0.1 if "after" in end else 600)
        command = [sys.executable, "-c", code, server.url, namespace]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if "at work" in end:
                assert process.stdout.readline() == "at work\n"
                assert eventually(lambda: server.sessions(waiting=True) == 5)
            if "killed" in end:
                os.kill(process.pid, signal.SIGKILL)
        assert eventually(lambda: server.sessions() == 0), "while the row is still locked"
