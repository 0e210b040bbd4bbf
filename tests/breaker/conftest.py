from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cbstore_sql import InMemoryStore
from tests.breaker.drivers import AsyncDriver, Clock, SyncDriver

Make = Callable[..., SyncDriver]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> InMemoryStore:
    return InMemoryStore(clock=clock)


@pytest.fixture(params=[SyncDriver, AsyncDriver], ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A function that makes a synchronous or an asynchronous breaker."""
    made: list[SyncDriver] = []

    def make_one(*args: Any, **options: Any) -> SyncDriver:
        made.append(request.param(*args, **options))
        return made[-1]

    yield make_one
    for driver in made:
        driver.close()
