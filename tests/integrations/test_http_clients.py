"""Every guarded HTTP client keeps the same promises, against a real server."""

from __future__ import annotations

import pickle

import pytest

from cbstore_sql import ConfigurationError, InMemoryStore, State
from tests.integrations.clients import CLIENTS, Client
from tests.integrations.conftest import Clock
from tests.integrations.upstream import Upstream


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


def test_a_healthy_response_passes_through(client: Client, store: InMemoryStore, upstream: Upstream) -> None:
    assert client.get(store, upstream.url("/answer")) == 200
    assert store.read(upstream.name).failure_count == 0


@pytest.mark.parametrize("status", [429, 500, 503, 599])
def test_a_failed_status_counts_and_reaches_the_caller(
    client: Client, store: InMemoryStore, upstream: Upstream, status: int
) -> None:
    assert client.get(store, upstream.url(f"/answer?status={status}")) == status
    assert store.read(upstream.name).failure_count == 1


@pytest.mark.parametrize("status", [200, 301, 400, 404])
def test_any_other_status_is_a_success(client: Client, store: InMemoryStore, upstream: Upstream, status: int) -> None:
    store.record_failure(upstream.name)
    assert client.get(store, upstream.url(f"/answer?status={status}")) == status
    assert store.read(upstream.name).failure_count == 0


def test_a_connection_without_an_answer_counts_as_a_failure(
    client: Client, store: InMemoryStore, upstream: Upstream
) -> None:
    with pytest.raises(client.base):
        client.get(store, upstream.url("/reset"))
    # aiohttp sends such a request once more; each request that was sent counts.
    assert store.read(upstream.name).failure_count == len(upstream.paths)


def test_a_body_that_breaks_off_counts_as_a_failure(client: Client, store: InMemoryStore, upstream: Upstream) -> None:
    with pytest.raises(client.base):
        client.get(store, upstream.url("/broken"))
    assert store.read(upstream.name).failure_count == 1


def test_a_body_that_is_not_read_to_its_end_is_a_success(
    client: Client, store: InMemoryStore, upstream: Upstream
) -> None:
    store.record_failure(upstream.name)
    assert client.get(store, upstream.url("/answer"), read=False) == 200
    assert store.read(upstream.name).failure_count == 0


def test_an_open_circuit_sends_nothing_and_raises_an_error_of_the_client_library(
    client: Client, store: InMemoryStore, upstream: Upstream
) -> None:
    store.force_open(upstream.name, 30.0)
    with pytest.raises(client.refusal) as refused:
        client.get(store, upstream.url("/answer"))
    assert upstream.paths == []
    assert isinstance(refused.value, client.base)
    assert not isinstance(refused.value, client.retried)
    assert (refused.value.name, refused.value.state) == (upstream.name, "open")
    assert refused.value.retry_after == pytest.approx(30.0, abs=1.0)


def test_a_refusal_can_be_pickled(client: Client, store: InMemoryStore, upstream: Upstream) -> None:
    store.force_open(upstream.name, 30.0)
    with pytest.raises(client.refusal) as refused:
        client.get(store, upstream.url("/answer"))
    copy = pickle.loads(pickle.dumps(refused.value))  # noqa: S301 - made on the line itself
    assert (type(copy), str(copy), copy.name) == (client.refusal, str(refused.value), upstream.name)


def test_the_first_successful_probe_closes_the_circuit(
    client: Client, store: InMemoryStore, upstream: Upstream, clock: Clock
) -> None:
    store.force_open(upstream.name, 30.0)
    clock.advance(31.0)
    assert client.get(store, upstream.url("/answer")) == 200
    assert store.read(upstream.name).state is State.CLOSED


def test_a_probe_whose_body_is_not_read_to_its_end_closes_the_circuit(
    client: Client, store: InMemoryStore, upstream: Upstream, clock: Clock
) -> None:
    store.force_open(upstream.name, 30.0)
    clock.advance(31.0)
    assert client.get(store, upstream.url("/answer"), read=False) == 200
    assert store.read(upstream.name).state is State.CLOSED


def test_a_probe_with_a_failed_status_opens_the_circuit_again(
    client: Client, store: InMemoryStore, upstream: Upstream, clock: Clock
) -> None:
    store.force_open(upstream.name, 30.0)
    clock.advance(31.0)
    assert client.get(store, upstream.url("/answer?status=503")) == 503
    assert store.read(upstream.name).state is State.OPEN


def test_retry_after_opens_the_circuit_for_that_time(
    client: Client, store: InMemoryStore, upstream: Upstream, clock: Clock
) -> None:
    assert client.get(store, upstream.url("/answer?status=429&retry_after=7")) == 429
    with pytest.raises(client.refusal) as refused:
        client.get(store, upstream.url("/answer"))
    assert refused.value.retry_after == pytest.approx(7.0, abs=1.0)


def test_retry_after_is_capped(client: Client, store: InMemoryStore, upstream: Upstream) -> None:
    client.get(store, upstream.url("/answer?status=429&retry_after=7"), max_retry_after=3.0)
    with pytest.raises(client.refusal) as refused:
        client.get(store, upstream.url("/answer"))
    assert refused.value.retry_after == pytest.approx(3.0, abs=1.0)


def test_retry_after_can_be_ignored(client: Client, store: InMemoryStore, upstream: Upstream) -> None:
    client.get(store, upstream.url("/answer?status=429&retry_after=7"), max_retry_after=0)
    assert client.get(store, upstream.url("/answer")) == 200


def test_failed_statuses_selects_the_statuses_that_count(
    client: Client, store: InMemoryStore, upstream: Upstream
) -> None:
    client.get(store, upstream.url("/answer?status=404"), failed_statuses={404})
    client.get(store, upstream.url("/answer?status=418"), failed_statuses=lambda status: status == 418)
    assert store.read(upstream.name).state is State.OPEN


def test_name_selects_the_breaker(client: Client, store: InMemoryStore, upstream: Upstream) -> None:
    client.get(store, upstream.url("/answer?status=500"), name="billing")
    client.get(store, upstream.url("/answer?status=500"), name=lambda request: f"{request.method} anything")
    assert [store.read(name).failure_count for name in ("billing", "GET anything")] == [1, 1]


@pytest.mark.parametrize("wrong", [{"failed_statuses": "503"}, {"failed_statuses": ["503"]}, {"name": 5}])
def test_a_wrong_setting_is_refused_before_any_request(
    client: Client, store: InMemoryStore, upstream: Upstream, wrong: dict[str, object]
) -> None:
    with pytest.raises(ConfigurationError):
        client.get(store, upstream.url("/answer"), **wrong)
    assert upstream.paths == []
