"""Servers of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture
def server(cluster: postgres.Cluster) -> Iterator[postgres.Postgres]:
    """A server that runs, with the breaker table in it."""
    with cluster.server() as server:
        yield server
