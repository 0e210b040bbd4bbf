"""Fixtures with a separate server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cbstore_sql import SqlStore
from tests.system.faults import postgres
from tests.system.faults.proxy import FaultProxy
from tests.system.faults.table import observed

__all__ = ["observed"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture
def server(cluster: postgres.Cluster) -> Iterator[postgres.Postgres]:
    """A running server with the breaker table."""
    with cluster.server() as server:
        yield server


@pytest.fixture
def proxy(server: postgres.Postgres) -> Iterator[FaultProxy]:
    """A proxy in front of the server."""
    with FaultProxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def store(server: postgres.Postgres, proxy: FaultProxy) -> Iterator[SqlStore]:
    """A store that connects through the proxy."""
    with SqlStore(proxy.url(server.url)) as store:
        yield store
        proxy.heal()
