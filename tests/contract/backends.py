"""The one registry of backends that the contract is run against."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cbstore_sql import InMemoryStore, SqlStore
from cbstore_sql.protocol import ProtocolStore

NAMES = ("memory", "sqlite", "postgresql", "redis", "redis-without-scripting")

SHARED = tuple(name for name in NAMES if name != "memory")
"""What several processes can share."""


@dataclass(frozen=True)
class Backend:
    """One kind of store, and how any process opens one.

    Attributes:
        name: As in `NAMES`.
        url: What `open_store` needs besides the name; empty for memory.
    """

    name: str
    url: str

    def open(self, namespace: str | None = None, **options: Any) -> ProtocolStore:
        """Open a store, on breakers nobody else uses unless a namespace is given."""
        return open_store(self.name, self.url, namespace or uuid.uuid4().hex, **options)


def open_store(name: str, url: str, namespace: str, **options: Any) -> ProtocolStore:
    """Open a store in this process, whichever it is."""
    if name == "memory":
        return InMemoryStore(namespace, **options)
    if name in ("sqlite", "postgresql"):
        return SqlStore(url, namespace=namespace, **options)
    from tests.contract.redis_clients import open_redis_store

    return open_redis_store(url, namespace, **options)


def make_backend(name: str, request: pytest.FixtureRequest) -> Backend:
    """Start what a backend needs, once for the whole run."""
    start: dict[str, Callable[[], str]] = {
        "memory": lambda: "",
        "sqlite": lambda: str(request.getfixturevalue("migrated_sqlite_url")),
        "postgresql": lambda: str(request.getfixturevalue("migrated_postgres_url")),
        "redis": lambda: str(request.getfixturevalue("redis_url")),
        "redis-without-scripting": lambda: str(request.getfixturevalue("scriptless_redis_url")),
    }
    return Backend(name, start[name]())
