"""examples/celery_worker.py in a real worker with two prefork children, on PostgreSQL and Redis."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped] # it ships no types
import pytest
import redis
from celery import Celery
from sqlalchemy.engine import make_url

from cbstore_sql import SqlStore, State
from tests.cli.running import kill
from tests.docs.pages import ROOT
from tests.llm.server import GIVE_UP_AFTER, Reply, Server

Send = Callable[[str], None]

PREFIX = f"worker-{uuid.uuid4().hex}:"
"""What the broker's keys begin with."""


@pytest.fixture
def breakers(migrated_postgres_url: str) -> Iterator[SqlStore]:
    """The store that the worker uses."""
    with SqlStore(migrated_postgres_url) as store:
        store.reset("payments")
        yield store
        store.reset("payments")


@pytest.fixture
def send(redis_url: str) -> Iterator[Send]:
    with closing(Celery(broker=redis_url)) as app, redis.Redis.from_url(redis_url) as client:
        app.conf.broker_transport_options = {"global_keyprefix": PREFIX}
        yield lambda order: app.send_task("examples.celery_worker.charge", [order])
        client.delete(*client.scan_iter(f"{PREFIX}*"))


@pytest.fixture
def worker(
    tmp_path: Path, server: Server, send: Send, redis_url: str, migrated_postgres_url: str
) -> Iterator[psutil.Process]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BREAKERS_URL": migrated_postgres_url,
        "PAYMENTS_URL": server.url,
        "BROKER_URL": redis_url,
        "KEY_PREFIX": PREFIX,
    }
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    pool = ["--pool", "prefork", "--concurrency", "2"]
    command = [sys.executable, "-m", "celery", "--app", "tests.docs.celery_short", "worker", *pool, *quiet]
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GIVE_UP_AFTER)
        kill(process.pid)
        sys.stdout.write(log.read_text())


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition that another process fulfils is true."""
    deadline = time.monotonic() + GIVE_UP_AFTER
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def connections(process: psutil.Process, postgres_url: str) -> set[int]:
    """Return the local ports of a process's connections to PostgreSQL."""
    port = make_url(postgres_url).port
    found = process.net_connections("tcp")
    return {connection.laddr.port for connection in found if connection.raddr and connection.raddr.port == port}


def test_prefork_children_share_the_breaker_over_separate_connections(
    worker: psutil.Process, send: Send, server: Server, breakers: SqlStore, migrated_postgres_url: str
) -> None:
    at_once = threading.Barrier(2)  # a single child would wait for ever
    server.will(Reply(500, together=at_once), Reply(500, together=at_once), Reply(500))
    for order in ("1", "2", "3"):
        send(order)
    until(lambda: breakers.read("payments").state is State.OPEN)
    assert server.requests == 3

    first, second = (connections(child, migrated_postgres_url) for child in worker.children())
    assert first
    assert second
    assert not first & second

    for order in ("4", "5", "6", "7"):
        send(order)
    until(lambda: server.requests == 7)
    until(lambda: breakers.read("payments").state is State.CLOSED)
