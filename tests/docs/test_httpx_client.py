"""Tests of examples/httpx_client.py with a real server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cbstore_sql import CircuitBreakerOpenError, SqlStore
from examples.httpx_client import AsyncGuardedTransport, GuardedTransport
from tests.docs.pages import ROOT
from tests.llm.server import HangUp, Reply, Server

Get = Callable[[str], httpx.Response]
HOST = "127.0.0.1"


def sync_client(store: SqlStore) -> Iterator[Get]:
    with httpx.Client(transport=GuardedTransport(store)) as client:
        yield client.get


def async_client(store: SqlStore) -> Iterator[Get]:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        client = httpx.AsyncClient(transport=AsyncGuardedTransport(store))
        yield lambda url: loop.run_until_complete(client.get(url))
        loop.run_until_complete(client.aclose())


@pytest.fixture(params=[sync_client, async_client], ids=["sync", "async"])
def get(request: pytest.FixtureRequest, store: SqlStore) -> Iterator[Get]:
    yield from request.param(store)


def test_server_errors_and_lost_connections_open_the_host_s_circuit(get: Get, server: Server) -> None:
    server.will(Reply(503), Reply(500), HangUp(), Reply(502), Reply(500))
    assert [get(server.url).status_code for _ in range(2)] == [503, 500]
    with pytest.raises(httpx.RemoteProtocolError):
        get(server.url)
    assert [get(server.url).status_code for _ in range(2)] == [502, 500]
    with pytest.raises(CircuitBreakerOpenError) as refused:
        get(server.url)
    assert refused.value.name == HOST
    assert 0 < refused.value.retry_after <= 30
    assert server.requests == 5


def test_a_client_error_counts_as_a_success(get: Get, server: Server, store: SqlStore) -> None:
    server.will(Reply(500), Reply(404))
    assert [get(server.url).status_code for _ in range(2)] == [500, 404]
    assert store.read(HOST).failure_count == 0


def test_the_example_program_stops_sending_requests(server: Server, tmp_path: Path) -> None:
    server.will(*[Reply(500)] * 5)
    example = str(ROOT / "examples" / "httpx_client.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, example, server.url], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert said[:5] == ["500"] * 5
    assert all(line.startswith("not sent; try again in ") for line in said[5:])
    assert len(said) == 8
    assert server.requests == 5
