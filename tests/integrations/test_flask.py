from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cbstore_sql import BreakerPolicy, CircuitBreaker, InMemoryStore, Snapshot, StoreUnavailableError
from cbstore_sql.integrations.flask import install

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=30.0)


def client_of(store: InMemoryStore, *, require_store: bool = False) -> FlaskClient:
    breaker = CircuitBreaker(store, POLICY)
    app = Flask(__name__)
    install(app, breaker, readiness="/ready", require_store=require_store)

    @app.get("/rates")
    @breaker("rates")
    def rates() -> str:
        raise OSError("down")

    return app.test_client()


def test_a_view_opens_its_circuit_and_answers_503_with_retry_after(store: InMemoryStore) -> None:
    client = client_of(store)
    assert [client.get("/rates").status_code for _ in range(2)] == [500, 500]
    refused = client.get("/rates")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert refused.get_json() == {"detail": "rates is not available", "breaker": "rates", "state": "open"}


def test_readiness_does_not_depend_on_open_circuits(store: InMemoryStore) -> None:
    store.force_open("rates", 60.0)
    ready = client_of(store).get("/ready")
    assert (ready.status_code, ready.get_json()) == (200, {"store": "ok"})


class FailingStore(InMemoryStore):
    """A store that does not answer."""

    def _read(self, name: str, now: float | None) -> Snapshot:
        raise StoreUnavailableError("gone")


@pytest.mark.parametrize(("require", "status"), [(False, 200), (True, 503)])
def test_readiness_reports_that_the_store_does_not_answer(require: bool, status: int) -> None:
    client = client_of(FailingStore(), require_store=require)
    client.get("/rates")
    ready = client.get("/ready")
    assert (ready.status_code, ready.get_json()) == (status, {"store": "unavailable"})
