"""The stores that are compared, behind the few operations they share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Literal, Protocol

import redis

from benchmarks.raw import raw_psycopg, raw_sqlite
from benchmarks.servers import Servers
from cbstore_sql import BreakerPolicy, RedisStore, SqlStore, Store
from cbstore_sql.stores.batching import combining
from tests.system.compat import published

HELD = 3600.0
"""Seconds for which a circuit is opened that stays open for the run."""

FLUSH_INTERVAL = 0.002
"""Seconds for which failures wait to be counted together, where they are."""

NEVER_TRIPS = BreakerPolicy(failure_threshold=1_000_000_000)

POSTGRES, SQLITE, REDIS = "SqlStore, PostgreSQL", "SqlStore, SQLite", "RedisStore"
POSTGRES_RELAXED, POSTGRES_COMBINED = f"{POSTGRES}, relaxed", f"{POSTGRES}, combined"
POSTGRES_RELAXED_COMBINED = f"{POSTGRES_RELAXED}, combined"
MASSGEN = "MassGen RedisStore"
RAW_POSTGRES, RAW_SQLITE = "raw psycopg", "raw sqlite3"
RAW_POSTGRES_RELAXED = f"{RAW_POSTGRES}, relaxed"


class Operations(Protocol):
    """What can be asked of any of them."""

    def make(self, names: Sequence[str]) -> None:
        """Write each breaker once, so that it is there."""

    def read(self, name: str) -> object:
        """Read one breaker."""

    def fail(self, name: str) -> object:
        """Count one failure; nothing trips."""

    def succeed(self, name: str) -> object:
        """Report a success."""

    def open(self, name: str, seconds: float) -> object:
        """Open the circuit for some seconds; 0 lets the next claim win."""

    def claim(self, name: str) -> object:
        """Try to become the owner of the probe."""


class OurOperations:
    """The operations of a store of this library."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read = store.read
        self.succeed = store.record_success
        self.claim = store.claim_probe
        self.open = store.force_open

    def make(self, names: Sequence[str]) -> None:
        """See `Operations`."""
        for name in names:
            self._store.reset(name)

    def fail(self, name: str) -> object:
        """See `Operations`."""
        return self._store.record_failure(name, NEVER_TRIPS)


class PublishedOperations:
    """The operations of MassGen's published store."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.read = store.get_state
        self.succeed = store.atomic_record_success

    def make(self, names: Sequence[str]) -> None:
        """See `Operations`."""
        for name in names:
            self._store.set_state(name, {})

    def fail(self, name: str) -> object:
        """See `Operations`."""
        return self._store.atomic_record_failure(name, NEVER_TRIPS.failure_threshold, NEVER_TRIPS.recovery_timeout)

    def open(self, name: str, seconds: float) -> None:
        """See `Operations`."""
        self._store.set_state(name, {"state": "open", "open_until": time.time() + seconds})

    def claim(self, name: str) -> object:
        """See `Operations`."""
        return self._store.try_transition_and_claim_probe(name, time.time(), NEVER_TRIPS.recovery_timeout)


@contextmanager
def _postgres(
    servers: Servers, *, durability: Literal["full", "relaxed"] = "full", flush_interval: float = 0.0
) -> Iterator[OurOperations]:
    with SqlStore(servers.postgres, namespace=servers.namespace, durability=durability) as store:
        yield OurOperations(combining(store, flush_interval))


@contextmanager
def _sqlite(servers: Servers) -> Iterator[OurOperations]:
    with SqlStore(servers.sqlite, namespace=servers.namespace) as store:
        yield OurOperations(store)


@contextmanager
def _redis(servers: Servers) -> Iterator[OurOperations]:
    with RedisStore.from_url(servers.redis, namespace=servers.namespace) as store:
        yield OurOperations(store)


@contextmanager
def _massgen(servers: Servers) -> Iterator[PublishedOperations]:
    with published_store(servers) as store:
        yield PublishedOperations(store)


@contextmanager
def published_store(servers: Servers) -> Iterator[Any]:
    """Open MassGen's published store with its own client, which uses hiredis."""
    with redis.Redis.from_url(servers.redis) as client:
        yield published.load().store.RedisStore(client, key_prefix=f"massgen:{servers.namespace}")


STORES: Mapping[str, Callable[[Servers], AbstractContextManager[Operations]]] = {
    POSTGRES: _postgres,
    POSTGRES_RELAXED: partial(_postgres, durability="relaxed"),
    POSTGRES_COMBINED: partial(_postgres, flush_interval=FLUSH_INTERVAL),
    POSTGRES_RELAXED_COMBINED: partial(_postgres, durability="relaxed", flush_interval=FLUSH_INTERVAL),
    RAW_POSTGRES: raw_psycopg,
    RAW_POSTGRES_RELAXED: partial(raw_psycopg, relaxed=True),
    SQLITE: _sqlite,
    RAW_SQLITE: raw_sqlite,
    REDIS: _redis,
    MASSGEN: _massgen,
}
"""How each is opened, by the name its rows have."""
