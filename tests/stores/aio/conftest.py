from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from cbstore_sql import AsyncStore
from tests.stores.contract.backends import NAMES, Backend, make_backend, open_async_store

OpenStore = Callable[[str], AsyncStore]


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    """What a test leaves open warns when it is collected, and a warning is an error."""
    yield
    gc.collect()


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def open_store(backend: Backend) -> OpenStore:
    """Opens an asynchronous store on a namespace."""
    return partial(open_async_store, backend.name, backend.url)


@pytest.fixture
def async_url(sql_url: str) -> str:
    """The same for `create_async_engine`, which does not choose a driver."""
    return sql_url.replace("sqlite:", "sqlite+aiosqlite:")
