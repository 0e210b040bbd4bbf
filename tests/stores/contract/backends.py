"""The registry of the backends that run the contract tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cbstore_sql import AsyncInMemoryStore, AsyncSqlStore, AsyncStore, InMemoryStore, SqlStore
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.blocking import Blocking

NAMES = ("memory", "sqlite", "postgresql", "redis", "redis-without-scripting")

SHARED = tuple(name for name in NAMES if name != "memory")
"""What several processes can share."""

ASYNC = "async-"
"""Before the name of a backend: its asynchronous store, waited for."""


def in_both_colours(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, each followed by the name of the asynchronous store."""
    return tuple(f"{colour}{name}" for name in names for colour in ("", ASYNC))


@dataclass(frozen=True)
class Backend:
    """One kind of store. Every process can open a store with it.

    Attributes:
        name: As in `NAMES`.
        url: What `open_store` needs besides the name; empty for memory.
    """

    name: str
    url: str

    def open(self, namespace: str | None = None, **options: Any) -> ProtocolStore:
        """Open a store. Without a namespace, the store gets a new namespace that no other test uses."""
        return open_store(self.name, self.url, namespace or uuid.uuid4().hex, **options)


def open_store(name: str, url: str, namespace: str, **options: Any) -> ProtocolStore:
    """Open a store by its name in this process."""
    if name.startswith(ASYNC):
        protocol = {key: options.pop(key) for key in ("protocol_probe_lease",) if key in options}
        return Blocking(lambda: open_async_store(name.removeprefix(ASYNC), url, namespace, **options), **protocol)
    if name == "memory":
        return InMemoryStore(namespace, **options)
    if name in ("sqlite", "postgresql"):
        return SqlStore(url, namespace=namespace, **options)
    from tests.stores.contract.redis_clients import open_redis_store

    return open_redis_store(url, namespace, **options)


def open_async_store(name: str, url: str, namespace: str, **options: Any) -> AsyncStore:
    """Open an asynchronous store by its name in this process."""
    if name == "memory":
        return AsyncInMemoryStore(namespace, **options)
    if name in ("sqlite", "postgresql"):
        return AsyncSqlStore(url, namespace=namespace, **options)
    from cbstore_sql import AsyncRedisStore

    return AsyncRedisStore.from_url(url, namespace=namespace, **options)


def make_backend(name: str, request: pytest.FixtureRequest) -> Backend:
    """Start the server of a backend, once for the whole run, and return the backend."""
    start: dict[str, Callable[[], str]] = {
        "memory": lambda: "",
        "sqlite": lambda: str(request.getfixturevalue("migrated_sqlite_url")),
        "postgresql": lambda: str(request.getfixturevalue("migrated_postgres_url")),
        "redis": lambda: str(request.getfixturevalue("redis_url")),
        "redis-without-scripting": lambda: str(request.getfixturevalue("scriptless_redis_url")),
    }
    return Backend(name, start[name.removeprefix(ASYNC)]())
