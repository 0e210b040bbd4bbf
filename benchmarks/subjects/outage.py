"""A store that does not answer: what a guarded call costs then, beside a breaker in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.bench import Bench
from benchmarks.guards import NAME, Guard, async_guard, event_loop, guard
from benchmarks.results import MEDIAN, Section, Table, Target, at_most, latency_table
from benchmarks.stores import NEVER_TRIPS
from benchmarks.timing import Contestant, take_turns
from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncInMemoryStore,
    AsyncSqlStore,
    AsyncStore,
    CircuitBreaker,
    InMemoryStore,
    SqlStore,
    Store,
)

MEMORY, DEAD = "CircuitBreaker, in memory", "CircuitBreaker, PostgreSQL that does not answer"
ASYNC_MEMORY, ASYNC_DEAD = "AsyncCircuitBreaker, in memory", "AsyncCircuitBreaker, PostgreSQL that does not answer"
BASES = {"in memory": {DEAD: MEMORY, ASYNC_DEAD: ASYNC_MEMORY}}


@contextmanager
def _silence() -> Iterator[str]:
    """Listen without answering; return the database's URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://nobody@127.0.0.1:{listening.getsockname()[1]}/none"


@contextmanager
def _sync(store: Store) -> Iterator[Guard]:
    with store, CircuitBreaker(store, NEVER_TRIPS) as breaker:
        breaker.call(NAME, int)
        yield guard(partial(breaker.call, NAME))


@contextmanager
def _async(store: AsyncStore, loop: asyncio.AbstractEventLoop) -> Iterator[Guard]:
    breaker = AsyncCircuitBreaker(store, NEVER_TRIPS)
    found = async_guard(loop, partial(breaker.call, NAME))
    found.answer()
    try:
        yield found
    finally:
        loop.run_until_complete(breaker.close())
        loop.run_until_complete(store.close())


def run(bench: Bench) -> Section:
    """Time calls after the first one has waited for its deadline."""
    with ExitStack() as stack:
        loop, url = stack.enter_context(event_loop()), stack.enter_context(_silence())
        opened = {
            MEMORY: _sync(InMemoryStore()),
            DEAD: _sync(SqlStore(url)),
            ASYNC_MEMORY: _async(AsyncInMemoryStore(), loop),
            ASYNC_DEAD: _async(AsyncSqlStore(url), loop),
        }
        guards = {name: stack.enter_context(each) for name, each in opened.items()}
        answered = take_turns([Contestant(name, each.answered) for name, each in guards.items()], bench.sizes)
        failed = take_turns([Contestant(name, each.failed) for name, each in guards.items()], bench.sizes)
    found = {"answers": answered, "fails": failed}
    tables = tuple(
        latency_table(f"A guarded call that {ends}, its store being out", each, BASES) for ends, each in found.items()
    )
    return Section("Outage", tables, tuple(_target(ends, table) for ends, table in zip(found, tables, strict=True)))


def _target(ends: str, table: Table) -> Target:
    dead, memory = table.number(DEAD, MEDIAN), table.number(MEMORY, MEDIAN)
    more = None if dead is None or memory is None else dead - memory
    return at_most(f"guarded call that {ends} with a dead database, more than in memory", more, 5, "µs")
