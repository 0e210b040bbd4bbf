"""The stores that are compared, behind the few operations they share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, Literal, Protocol

import redis

from benchmarks.raw import raw_psycopg, raw_sqlite, same_statement
from benchmarks.servers import Servers
from cbstore_sql import BreakerPolicy, CircuitBreaker, FailureRate, RedisStore, SqlStore, Store
from cbstore_sql.stores.batching import combining
from tests.system.compat import published

HELD = 3600.0
"""Seconds for which a circuit is opened that stays open for the run."""

FLUSH_INTERVAL = 0.001
"""Seconds for which failures wait to be counted together, where they are."""

NEVER_TRIPS = BreakerPolicy(failure_threshold=1_000_000_000)
NEVER_TRIPS_BY_RATE = BreakerPolicy(trip=FailureRate(normal=0.499999999, broken=0.5))
"""It works out the score as any other rate does, but needs a thousand million failures too."""

POSTGRES, SQLITE, REDIS = "SqlStore, PostgreSQL", "SqlStore, SQLite", "RedisStore"
POSTGRES_RELAXED, POSTGRES_COMBINED = f"{POSTGRES}, relaxed", f"{POSTGRES}, combined"
POSTGRES_RELAXED_COMBINED = f"{POSTGRES_RELAXED}, combined"
MASSGEN = "MassGen RedisStore"
RAW_POSTGRES, RAW_SQLITE = "raw psycopg", "raw sqlite3"
RAW_POSTGRES_RELAXED = f"{RAW_POSTGRES}, relaxed"
RATE, GUARDED = f"{POSTGRES_RELAXED}, rate", "CircuitBreaker, PostgreSQL, relaxed"
GUARDED_RATE = f"{GUARDED}, rate"
SAME = f"{RAW_POSTGRES_RELAXED}, same statement"
SAME_RATE, SAME_GUARDED, SAME_GUARDED_RATE = f"{SAME}, rate", f"{SAME}, guarded", f"{SAME}, guarded, rate"


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
    """The operations of a store of this library.

    Args:
        store: The store.
        policy: What failures are counted by.
    """

    def __init__(self, store: Store, policy: BreakerPolicy = NEVER_TRIPS) -> None:
        self._store = store
        self._policy = policy
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
        return self._store.record_failure(name, self._policy)


class GuardedOperations(OurOperations):
    """The operations of a store, but a failure is counted by a guarded call, which raises.

    Args:
        store: The store.
        policy: What failures are counted by.
        breaker: Guards the calls.
    """

    def __init__(self, store: Store, policy: BreakerPolicy, breaker: CircuitBreaker) -> None:
        super().__init__(store, policy)
        self._breaker = breaker

    def fail(self, name: str) -> bool:
        """See `Operations`."""
        with suppress(ConnectionError):
            self._breaker.call(name, _refused)
        return True


def _refused() -> None:
    raise ConnectionError


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
    servers: Servers,
    *,
    durability: Literal["full", "relaxed"] = "full",
    flush_interval: float = 0.0,
    policy: BreakerPolicy = NEVER_TRIPS,
) -> Iterator[OurOperations]:
    with SqlStore(servers.postgres, namespace=servers.namespace, durability=durability) as store:
        yield OurOperations(combining(store, flush_interval), policy)


@contextmanager
def _guarded(servers: Servers, *, policy: BreakerPolicy) -> Iterator[GuardedOperations]:
    with (
        SqlStore(servers.postgres, namespace=servers.namespace, durability="relaxed") as store,
        CircuitBreaker(store, policy, store_timeout=5.0, on_store_outage="raise") as breaker,
    ):
        yield GuardedOperations(store, policy, breaker)


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
    RATE: partial(_postgres, durability="relaxed", policy=NEVER_TRIPS_BY_RATE),
    GUARDED: partial(_guarded, policy=NEVER_TRIPS),
    GUARDED_RATE: partial(_guarded, policy=NEVER_TRIPS_BY_RATE),
    SAME: partial(same_statement, policy=NEVER_TRIPS),
    SAME_RATE: partial(same_statement, policy=NEVER_TRIPS_BY_RATE),
    SAME_GUARDED: partial(same_statement, policy=NEVER_TRIPS, guarded=True),
    SAME_GUARDED_RATE: partial(same_statement, policy=NEVER_TRIPS_BY_RATE, guarded=True),
    RAW_SQLITE: raw_sqlite,
    REDIS: _redis,
    MASSGEN: _massgen,
}
"""How each is opened, by the name its rows have."""
