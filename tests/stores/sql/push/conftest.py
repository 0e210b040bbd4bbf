"""A breaker with push, and a store that stands for another process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from cbstore_sql import (
    CircuitBreaker,
    SqlStore,
)
from tests.stores.sql.push.tools import pushing, with_options


@pytest.fixture
def namespace() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def url(migrated_postgres_url: str, namespace: str) -> str:
    """The URL of the database with an application name that only this test uses."""
    return with_options(migrated_postgres_url, application_name=namespace)


@pytest.fixture
def observer(migrated_postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


@pytest.fixture
def listening(url: str, namespace: str) -> Iterator[CircuitBreaker]:
    """A breaker that listens and has seen the circuit ``b`` closed."""
    with SqlStore(url, namespace=namespace) as store, pushing(store) as breaker:
        yield breaker


@pytest.fixture
def other(migrated_postgres_url: str, namespace: str) -> Iterator[SqlStore]:
    """A store of another process. Changes through the store alone send no notification."""
    with SqlStore(migrated_postgres_url, namespace=namespace) as store:
        yield store
