from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from starlette.testclient import TestClient

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, InMemoryStore, Snapshot, State, StoreUnavailableError
from cbstore_sql.integrations.starlette import Guarded, install
from tests.integrations.conftest import Clock

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=30.0)


def application(breaker: AsyncCircuitBreaker, outcomes: list[Exception | str]) -> FastAPI:
    app = FastAPI()

    @app.get("/rates", dependencies=[Depends(Guarded(breaker, "rates"))])
    async def rates() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @app.get("/tenants/{tenant}", dependencies=[Depends(Guarded(breaker, lambda request: request.url.path))])
    async def tenant(tenant: str) -> str:
        raise OSError("down")

    @app.get("/by-hand")
    async def by_hand(request: Request) -> str:
        async with breaker.guard("rates"):
            return "ok"

    return app


@pytest.fixture
def outcomes() -> list[Exception | str]:
    return []


@pytest.fixture
def client(store: InMemoryStore, outcomes: list[Exception | str]) -> TestClient:
    breaker = AsyncCircuitBreaker(store, POLICY)
    app = application(breaker, outcomes)
    install(app, breaker, readiness="/ready")
    return TestClient(app, raise_server_exceptions=False)


def test_an_endpoint_opens_its_circuit_and_answers_503_with_retry_after(
    client: TestClient, outcomes: list[Exception | str], clock: Clock
) -> None:
    outcomes += [OSError("down"), OSError("down"), "ok"]
    assert [client.get("/rates").status_code for _ in range(2)] == [500, 500]
    refused = client.get("/rates")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert refused.json() == {"detail": "rates is not available", "breaker": "rates", "state": "open"}
    clock.advance(31.0)
    assert client.get("/rates").json() == "ok"


def test_a_refusal_raised_inside_an_endpoint_is_answered_in_the_same_way(
    client: TestClient, store: InMemoryStore
) -> None:
    store.force_open("rates", 9.5)
    refused = client.get("/by-hand")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")


def test_retry_after_is_1_while_another_caller_probes(client: TestClient, store: InMemoryStore, clock: Clock) -> None:
    store.force_open("rates", 1.0)
    clock.advance(2.0)
    store.claim_probe("rates")
    assert client.get("/rates").headers["Retry-After"] == "1"


@pytest.mark.parametrize(("status", "failures"), [(404, 0), (422, 0), (500, 2), (503, 2)])
def test_an_http_exception_counts_as_a_failure_from_status_500(
    client: TestClient, outcomes: list[Exception | str], store: InMemoryStore, status: int, failures: int
) -> None:
    store.record_failure("rates")
    outcomes.append(HTTPException(status))
    assert client.get("/rates").status_code == status
    assert store.read("rates").failure_count == failures


def test_the_name_may_depend_on_the_request(client: TestClient, store: InMemoryStore) -> None:
    client.get("/tenants/a")
    assert store.read("/tenants/a").failure_count == 1
    assert store.read("/tenants/b").failure_count == 0


def test_readiness_does_not_depend_on_open_circuits(client: TestClient, store: InMemoryStore) -> None:
    store.force_open("rates", 60.0)
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"store": "ok"})


class FailingStore(InMemoryStore):
    """A store that does not answer."""

    def _read(self, name: str, now: float | None) -> Snapshot:
        raise StoreUnavailableError("gone")


@pytest.mark.parametrize(("require", "status"), [(False, 200), (True, 503)])
def test_readiness_reports_that_the_store_does_not_answer(require: bool, status: int) -> None:
    breaker = AsyncCircuitBreaker(FailingStore())
    app = application(breaker, ["ok"])
    install(app, breaker, readiness="/ready", require_store=require)
    client = TestClient(app)
    assert client.get("/rates").status_code == 200
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()) == (status, {"store": "unavailable"})


def test_shutdown_closes_the_breaker_and_its_store_after_the_application_s_lifespan(store: InMemoryStore) -> None:
    order: list[str] = []

    class Watched(AsyncCircuitBreaker):
        async def close(self) -> None:
            order.append("breaker closed")
            await super().close()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        order.append("started")
        yield
        order.append("stopped")

    app = FastAPI(lifespan=lifespan)
    install(app, Watched(store))
    with TestClient(app):
        assert order == ["started"]
    assert order == ["started", "stopped", "breaker closed"]


def test_a_cancelled_probe_is_released(client: TestClient, store: InMemoryStore, clock: Clock) -> None:
    store.force_open("rates", 1.0)
    clock.advance(2.0)
    assert client.get("/by-hand").json() == "ok"
    assert store.read("rates").state is State.CLOSED
