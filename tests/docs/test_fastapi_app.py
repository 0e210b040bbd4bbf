"""Tests of examples/fastapi_app.py with a server in place of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cbstore_sql import SqlStore, migrate
from examples.fastapi_app import app
from tests.llm.server import HangUp, Reply, Server


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    return url


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, url: str, server: Server) -> Iterator[TestClient]:
    monkeypatch.setenv("BREAKERS_URL", url)
    monkeypatch.setenv("RATES_URL", server.url)
    with TestClient(app) as client:
        yield client


def test_the_answer_is_503_with_retry_after_while_the_service_is_down(client: TestClient, server: Server) -> None:
    assert client.get("/rates/EUR").json()["id"] == "answer-1"
    server.will(*[Reply(500)] * 4, HangUp())
    assert [client.get("/rates/EUR").status_code for _ in range(5)] == [502] * 5
    refused = client.get("/rates/EUR")
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["Retry-After"]) <= 15
    assert server.requests == 6


def test_a_client_error_of_the_service_is_not_a_failure(client: TestClient, server: Server, url: str) -> None:
    server.will(Reply(404), Reply(500), Reply(422))
    assert [client.get("/rates/XYZ").status_code for _ in range(3)] == [502] * 3
    with SqlStore(url) as store:
        assert store.read("rates").failure_count == 1


def test_retry_after_is_1_while_another_worker_probes(client: TestClient, url: str) -> None:
    with SqlStore(url) as store:
        store.force_open("rates", 0)
        store.claim_probe("rates")
    assert client.get("/rates/EUR").headers["Retry-After"] == "1"


def test_workers_share_the_breaker(client: TestClient, server: Server, url: str) -> None:
    with SqlStore(url) as store:
        store.force_open("rates", 60)
    assert client.get("/rates/EUR").status_code == 503
    assert server.requests == 0
