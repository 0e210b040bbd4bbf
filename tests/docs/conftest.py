from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from cbstore_sql import SqlStore
from tests.llm.server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def store(migrated_sqlite_url: str) -> Iterator[SqlStore]:
    """A store without breakers."""
    with SqlStore(migrated_sqlite_url, namespace=uuid.uuid4().hex) as store:
        yield store
