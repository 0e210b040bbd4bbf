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
    """Fail if a test leaves a resource open: its garbage collection causes a warning, and a warning is an error."""
    yield
    gc.collect()


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def open_store(backend: Backend) -> OpenStore:
    """A function that opens an asynchronous store for a namespace."""
    return partial(open_async_store, backend.name, backend.url)


@pytest.fixture
def async_url(sql_url: str) -> str:
    """The URL of the database with an asynchronous driver, for `create_async_engine`."""
    return sql_url.replace("sqlite:", "sqlite+aiosqlite:")
