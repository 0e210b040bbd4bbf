from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cbstore_sql.stores.dict_protocol import CircuitBreakerStore, ProtocolStore
from tests.stores.contract.backends import NAMES, SHARED, Backend, make_backend
from tests.system.compat.clock import Clock
from tests.system.compat.published import Published, PublishedCodeMissing, load


@pytest.fixture(scope="session")
def published() -> Published:
    try:
        return load()
    except PublishedCodeMissing as error:
        missing = str(error)
    pytest.fail(missing, pytrace=False)


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture(params=SHARED)
def shared_backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def store(backend: Backend) -> Iterator[ProtocolStore]:
    with backend.open() as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def original(published: Published, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> CircuitBreakerStore:
    """The published in-memory store with the clock of the test."""
    monkeypatch.setattr(published.store, "time", SimpleNamespace(time=clock))
    store: CircuitBreakerStore = published.store.InMemoryStore()
    return store
