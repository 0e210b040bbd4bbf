"""The breakers that are compared, each guarding a call that does nothing but answer or fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import psycopg
import pybreaker
import redis
from purgatory import AsyncCircuitBreakerFactory, AsyncRedisUnitOfWork
from resilient_circuit import CircuitProtectorPolicy
from resilient_circuit.storage import PostgresStorage, apply_schema

from benchmarks.servers import Servers
from benchmarks.stores import NEVER_TRIPS, published_store
from benchmarks.timing import Turn, awaiting, calling
from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore, CircuitBreaker, RedisStore, SqlStore, Store
from tests.system.compat import published

NAME = "guarded"
MAX_STALENESS = 0.25
"""Seconds; what the breakers have by default."""

HONEST: Any = {"store_timeout": 5.0, "on_store_outage": "raise"}
"""What keeps a breaker from going on without its store and looking fast."""

STRICT, VIEW = "CircuitBreaker, PostgreSQL, strict", "CircuitBreaker, PostgreSQL, view"
PUSH = f"{VIEW} and push"
STRICT_ASYNC, VIEW_ASYNC = "AsyncCircuitBreaker, PostgreSQL, strict", "AsyncCircuitBreaker, PostgreSQL, view"
STRICT_SQLITE, STRICT_REDIS = "CircuitBreaker, SQLite, strict", "CircuitBreaker, Redis, strict"
MASSGEN, PYBREAKER = "MassGen, Redis", "pybreaker, Redis"
UNGUARDED = "no breaker"
PURGATORY, RESILIENT = "purgatory (async), Redis", "resilient-circuit, PostgreSQL"


class DependencyError(Exception):
    """What the guarded call raises when it is to fail."""


@dataclass(frozen=True)
class Guard:
    """One breaker around a call.

    Attributes:
        answered: Times calls that return.
        failed: Times calls that raise.
        answer: Makes one call that returns.
        fail: Makes one call that raises; the exception stays here.
        before_failing: What must come before each of those.
    """

    answered: Turn
    failed: Turn
    answer: Callable[[], object]
    fail: Callable[[], object]
    before_failing: Callable[[], object] | None = None


Opener = Callable[[Servers, asyncio.AbstractEventLoop], AbstractContextManager[Guard]]


def answer() -> int:
    """Be the dependency that answers."""
    return 1


def fail() -> int:
    """Be the dependency that fails."""
    raise DependencyError


async def answer_async() -> int:
    """Be the asynchronous dependency that answers."""
    return 1


async def fail_async() -> int:
    """Be the asynchronous dependency that fails."""
    raise DependencyError


def guard(call: Callable[[Callable[[], int]], object], before_failing: Callable[[], object] | None = None) -> Guard:
    """Time a breaker.

    Args:
        call: Makes one guarded call of a function.
        before_failing: See `Guard`.
    """

    def failing() -> None:
        with suppress(DependencyError):
            call(fail)

    answering = partial(call, answer)
    return Guard(calling(answering), calling(failing, before_failing), answering, failing, before_failing)


def async_guard(
    loop: asyncio.AbstractEventLoop, call: Callable[[Callable[[], Awaitable[int]]], Awaitable[object]]
) -> Guard:
    """Time an asynchronous breaker; see `guard`."""

    async def answering() -> None:
        await call(answer_async)

    async def failing() -> None:
        with suppress(DependencyError):
            await call(fail_async)

    def once(operation: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop.run_until_complete(operation())

    timed = (awaiting(loop, answering), awaiting(loop, failing))
    return Guard(*timed, partial(once, answering), partial(once, failing))


@contextmanager
def _ours(store: Store, max_staleness: float = 0.0, *, push: bool = False) -> Iterator[Guard]:
    with store, CircuitBreaker(store, NEVER_TRIPS, max_staleness=max_staleness, push=push, **HONEST) as breaker:
        breaker.reset(NAME)
        yield guard(partial(breaker.call, NAME))


def _postgres(
    servers: Servers, _: asyncio.AbstractEventLoop, *, max_staleness: float = 0.0, push: bool = False
) -> AbstractContextManager[Guard]:
    store = SqlStore(servers.postgres, namespace=f"{servers.namespace}/{max_staleness}/{push}")
    return _ours(store, max_staleness, push=push)


def _sqlite(servers: Servers, _: asyncio.AbstractEventLoop) -> AbstractContextManager[Guard]:
    return _ours(SqlStore(servers.sqlite, namespace=servers.namespace))


def _redis(servers: Servers, _: asyncio.AbstractEventLoop) -> AbstractContextManager[Guard]:
    return _ours(RedisStore.from_url(servers.redis, namespace=servers.namespace))


@contextmanager
def _async_sql(servers: Servers, loop: asyncio.AbstractEventLoop, *, max_staleness: float = 0.0) -> Iterator[Guard]:
    store = AsyncSqlStore(servers.postgres, namespace=f"{servers.namespace}/async/{max_staleness}")
    breaker = AsyncCircuitBreaker(store, NEVER_TRIPS, max_staleness=max_staleness, **HONEST)
    loop.run_until_complete(breaker.reset(NAME))
    try:
        yield async_guard(loop, partial(breaker.call, NAME))
    finally:
        loop.run_until_complete(breaker.close())
        loop.run_until_complete(store.close())


@contextmanager
def _unguarded(servers: Servers, _: asyncio.AbstractEventLoop) -> Iterator[Guard]:
    yield guard(lambda function: function())


@contextmanager
def _massgen(servers: Servers, _: asyncio.AbstractEventLoop) -> Iterator[Guard]:
    module = published.load().breaker
    config = module.LLMCircuitBreakerConfig(enabled=True, max_failures=NEVER_TRIPS.failure_threshold)
    with published_store(servers) as store:
        store.clear(NAME)
        breaker = module.LLMCircuitBreaker(config, NAME, store=store)

        # What its call_with_retry does around a call, without what it logs, counts and sleeps.
        def call(function: Callable[[], int]) -> int | None:
            if breaker.should_block():
                return None
            try:
                result = function()
            except DependencyError:
                breaker.record_failure()
                raise
            breaker.record_success()
            return result

        yield guard(call)


@contextmanager
def _pybreaker(servers: Servers, _: asyncio.AbstractEventLoop) -> Iterator[Guard]:
    with redis.Redis.from_url(servers.redis) as client:
        storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, client, namespace=servers.namespace)
        breaker = pybreaker.CircuitBreaker(fail_max=NEVER_TRIPS.failure_threshold, state_storage=storage)
        yield guard(breaker.call)


@contextmanager
def _purgatory(servers: Servers, loop: asyncio.AbstractEventLoop) -> Iterator[Guard]:
    unit_of_work = AsyncRedisUnitOfWork(servers.redis)
    factory = AsyncCircuitBreakerFactory(NEVER_TRIPS.failure_threshold, uow=unit_of_work)
    loop.run_until_complete(factory.initialize())

    async def call(function: Callable[[], Awaitable[int]]) -> int:
        async with await factory.get_breaker(servers.namespace):
            return await function()

    try:
        yield async_guard(loop, call)
    finally:
        connections: Any = unit_of_work.contexts
        loop.run_until_complete(connections.redis.aclose())


@contextmanager
def _resilient(servers: Servers, _: asyncio.AbstractEventLoop) -> Iterator[Guard]:
    with psycopg.connect(servers.conninfo) as connection, connection.cursor() as cursor:
        apply_schema(cursor)
    # It has no number of failures in a row, only a share of the last calls: one more success than failures.
    policy = CircuitProtectorPolicy(
        resource_key=NAME,
        storage=PostgresStorage(servers.conninfo, namespace=servers.namespace),
        failure_limit=Fraction(3, 4),
    )
    answered, failed = policy(answer), policy(fail)
    yield guard(lambda function: answered() if function is answer else failed(), answered)


GUARDS: Mapping[str, Opener] = {
    VIEW: partial(_postgres, max_staleness=MAX_STALENESS),
    PUSH: partial(_postgres, max_staleness=MAX_STALENESS, push=True),
    STRICT: _postgres,
    VIEW_ASYNC: partial(_async_sql, max_staleness=MAX_STALENESS),
    STRICT_ASYNC: _async_sql,
    STRICT_SQLITE: _sqlite,
    STRICT_REDIS: _redis,
    MASSGEN: _massgen,
    PYBREAKER: _pybreaker,
    PURGATORY: _purgatory,
    RESILIENT: _resilient,
    UNGUARDED: _unguarded,
}
"""How each is opened, by the name its rows have."""


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Make the loop in which everything asynchronous takes its turns."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()
