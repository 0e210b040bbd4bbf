"""Tests of waiting for a socket, with and without `select.poll`, for short and long times."""

from __future__ import annotations

import importlib.util
import select
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from cbstore_sql import SqlStore
from cbstore_sql.deadline import within
from cbstore_sql.stores.sql.connections import drive
from cbstore_sql.stores.sql.connections.libpq import PgSession
from cbstore_sql.stores.sql.connections.socket_wait import PollWait, SelectWait, SocketWait, wait_for_socket
from cbstore_sql.stores.sql.retry import LateError
from tests.stores.contract.backends import open_store

MONTH = 31 * 86_400.0


@pytest.fixture(params=[PollWait, SelectWait])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[SocketWait, socket.socket]]:
    near, far = socket.socketpair()
    with closing(near), closing(far):
        yield request.param(near.fileno()), far


def test_wait_returns_none_without_data_and_true_with_data_to_read(ends: tuple[SocketWait, socket.socket]) -> None:
    wait, far = ends
    assert wait.wait(0.0, write=False) is None
    assert wait.wait(0.0, write=True) is False, "there is room to write"
    assert wait.wait(0.0, write=False) is None, "room to write is asked for once"
    far.send(b"x")
    assert wait.wait(None, write=False) is True
    assert wait.wait(MONTH / 31, write=True) is True


def test_wait_returns_true_after_the_other_end_closed(ends: tuple[SocketWait, socket.socket]) -> None:
    wait, far = ends
    far.close()
    assert wait.wait(None, write=False) is True


def test_select_is_used_if_poll_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as some:
        assert isinstance(wait_for_socket(some.fileno()), PollWait)
        monkeypatch.delattr(select, "poll")
        assert isinstance(wait_for_socket(some.fileno()), SelectWait)


@pytest.mark.parametrize("backend", ["postgresql", "async-postgresql"])
def test_a_store_works_without_poll(backend: str, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    with open_store(backend, migrated_postgres_url, uuid.uuid4().hex) as store:
        store.record_failure("b")
        assert store.read("b").failure_count == 1


@pytest.mark.parametrize("backend", ["postgresql", "async-postgresql", "sqlite", "async-sqlite"])
def test_a_deadline_in_a_month_works(backend: str, migrated_postgres_url: str, migrated_sqlite_url: str) -> None:
    url = migrated_sqlite_url if "sqlite" in backend else migrated_postgres_url
    with open_store(backend, url, uuid.uuid4().hex) as store, within(MONTH):
        store.record_failure("b")
        assert store.read("b").failure_count == 1


def test_a_wait_longer_than_poll_allows_is_divided(migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "LONGEST_WAIT", 0.01)
    waited: list[float] = []
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", "")) as connection:
        session = PgSession(connection, None)
        inner = session.socket

        class Counted:
            def wait(self, seconds: float | None, *, write: bool) -> bool | None:
                assert seconds is not None
                waited.append(seconds)
                return inner.wait(seconds, write=write)

        session.socket = Counted()
        with pytest.raises(LateError):
            drive.wait(session, 0.025, write=False)
        assert waited == pytest.approx([0.01, 0.01, 0.005])


EVENTLET = """
import warnings
warnings.simplefilter("ignore")
import eventlet
eventlet.monkey_patch()
import sys
from cbstore_sql import CircuitBreaker, SqlStore
from cbstore_sql.core.policy import BreakerPolicy

store = SqlStore(sys.argv[1], namespace=sys.argv[2])
breaker = CircuitBreaker(store, BreakerPolicy(failure_threshold=1000), max_staleness=0)
pool = eventlet.GreenPool(4)

def fail():
    raise ValueError

def work(_):
    try:
        breaker.call("b", fail)
    except ValueError:
        pass

for _ in pool.imap(work, range(20)):
    pass
assert breaker.call("other", lambda: "answer") == "answer"
print(store.read("b").failure_count)
store.close()
"""


def test_a_program_patched_by_eventlet_loses_no_count(migrated_postgres_url: str) -> None:
    if importlib.util.find_spec("eventlet") is None:
        pytest.skip("eventlet is not installed")
    command: list[Any] = [sys.executable, "-c", EVENTLET, migrated_postgres_url, uuid.uuid4().hex]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "20\n", done.stderr


def test_many_threads_work_without_poll(migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        threads = [threading.Thread(target=store.record_failure, args=("b",)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.read("b").generation >= 1
