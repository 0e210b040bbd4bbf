"""Counting a failure: the write that every failing call costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.guards import event_loop
from benchmarks.raw import raw_psycopg_async
from benchmarks.results import MEDIAN, Section, Table, Target, at_most, latency_table, ratio
from benchmarks.servers import Servers
from benchmarks.timing import Contestant, awaiting, calling, take_turns
from cbstore_sql import AsyncSqlStore

NAME = "failing"
ASYNC, RAW_ASYNC = "AsyncSqlStore, PostgreSQL", "raw psycopg (async)"
ASYNC_RELAXED, RAW_ASYNC_RELAXED = f"{ASYNC}, relaxed", f"{RAW_ASYNC}, relaxed"

_STORES = (
    stores.POSTGRES,
    stores.RAW_POSTGRES,
    stores.POSTGRES_RELAXED,
    stores.RAW_POSTGRES_RELAXED,
    stores.SQLITE,
    stores.RAW_SQLITE,
    stores.REDIS,
    stores.MASSGEN,
)
_LIMITS = {
    stores.POSTGRES: stores.RAW_POSTGRES,
    stores.POSTGRES_RELAXED: stores.RAW_POSTGRES_RELAXED,
    stores.SQLITE: stores.RAW_SQLITE,
    ASYNC: RAW_ASYNC,
    ASYNC_RELAXED: RAW_ASYNC_RELAXED,
}


def run(bench: Bench) -> Section:
    """Time one failure on one breaker, which never trips."""
    with ExitStack() as stack:
        contestants = []
        for name in _STORES:
            operations = stack.enter_context(stores.STORES[name](bench.servers))
            operations.make([NAME])
            contestants.append(Contestant(name, calling(partial(operations.fail, NAME))))
        loop = stack.enter_context(event_loop())
        for relaxed in (False, True):
            contestants += stack.enter_context(_asynchronous(bench.servers, loop, relaxed=relaxed))
        found = take_turns(contestants, bench.sizes)
    table = latency_table("record_failure", found, {"raw": _LIMITS, "MassGen": stores.MASSGEN})
    return Section("Counting a failure", (table,), _targets(table))


@contextmanager
def _asynchronous(servers: Servers, loop: asyncio.AbstractEventLoop, *, relaxed: bool) -> Iterator[list[Contestant]]:
    ours, raw = (ASYNC_RELAXED, RAW_ASYNC_RELAXED) if relaxed else (ASYNC, RAW_ASYNC)
    store = AsyncSqlStore(
        servers.postgres, namespace=f"{servers.namespace}/async", durability="relaxed" if relaxed else "full"
    )
    with raw_psycopg_async(servers, loop, relaxed=relaxed) as fail:
        operations: dict[str, Callable[[], Awaitable[object]]] = {
            ours: partial(store.record_failure, NAME, stores.NEVER_TRIPS),
            raw: partial(fail, NAME),
        }
        try:
            yield [Contestant(name, awaiting(loop, operation)) for name, operation in operations.items()]
        finally:
            loop.run_until_complete(store.close())


def _targets(table: Table) -> tuple[Target, ...]:
    def against(name: str, base: str) -> float | None:
        return ratio(table.number(name, MEDIAN), table.number(base, MEDIAN))

    relaxed = stores.POSTGRES_RELAXED
    return (
        at_most("record_failure, relaxed, against raw psycopg", against(relaxed, stores.RAW_POSTGRES_RELAXED), 1.3),
        at_most("record_failure, relaxed, against MassGen RedisStore", against(relaxed, stores.MASSGEN), 1.0),
        at_most("record_failure, RedisStore, against MassGen RedisStore", against(stores.REDIS, stores.MASSGEN), 1.2),
        at_most(
            "record_failure, async and relaxed, against raw psycopg", against(ASYNC_RELAXED, RAW_ASYNC_RELAXED), 1.3
        ),
        at_most("record_failure, async, against raw psycopg", against(ASYNC, RAW_ASYNC), 1.3),
        at_most("record_failure on SQLite, against raw sqlite3", against(stores.SQLITE, stores.RAW_SQLITE), 1.5),
    )
