from __future__ import annotations

from collections.abc import Iterator

import pytest

from cbstore_sql import InMemoryStore
from tests.integrations import upstream as servers
from tests.integrations.upstream import Upstream


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> InMemoryStore:
    return InMemoryStore(clock=clock)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A real HTTP server on this machine."""
    with servers.upstream() as server:
        yield server
