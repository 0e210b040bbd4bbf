"""Check that no hot path became slower: ``python -m benchmarks.regression``.

Each path takes turns with a fixed piece of work, its reference, in one process. So the ratio of the two says little
about the machine, and the kept ratios can be compared with those of another machine. A path fails when its ratio is
more than `LIMIT` times the kept ratio. The best of five attempts counts: a busy machine makes a ratio larger by
chance, but rarely five times, and a path that does its work twice is twice as slow in each attempt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles

from benchmarks import stores
from benchmarks.guards import HONEST, DependencyError, answer, answer_async, event_loop, fail
from benchmarks.raw import raw_psycopg, raw_psycopg_async
from benchmarks.render import as_text
from benchmarks.results import Table
from benchmarks.servers import Servers, started
from benchmarks.timing import Turn, awaiting, calling
from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    CircuitBreaker,
    CircuitBreakerOpenError,
    InMemoryStore,
    SqlStore,
)
from tests.system.compat.published import PublishedCodeMissing

LIMIT = 1.7
"""How many times the kept ratio fails the check: well below 2, well above what chance does to the best of five."""

KEPT = Path(__file__).with_name("regression.json")
_ATTEMPTS, _ROUNDS, _CALLS, _TURN = 5, 12, 150, 0.05
_NAME = "regression"
_HEALTHY_FOREVER = 3600.0
"""A ``max_staleness`` in seconds with which no refresh disturbs the measurement."""


@dataclass(frozen=True)
class HotPath:
    """One path and its reference.

    Attributes:
        path: Times the path.
        reference: Times the reference.
    """

    path: Turn
    reference: Turn


def fixed_work() -> int:
    """Do what interpreters do: look up, call, compare, add. The reference of the paths that do no I/O."""
    found: dict[str, int] = {}
    for number in range(20):
        name = _NAME[: number % 8]
        found[name] = found.get(name, 0) + number
    return len(found)


@contextmanager
def hot_paths(servers: Servers, loop: asyncio.AbstractEventLoop) -> Iterator[Mapping[str, HotPath]]:
    """Open what the paths need, and return them by name."""
    with ExitStack() as stack:
        paths = {f"breaker: {name}": HotPath(turn, calling(fixed_work)) for name, turn in _calls(servers, loop, stack)}
        paths.update((f"breaker: {name}", path) for name, path in _strict_calls(servers, loop, stack))
        yield paths | {f"store: {name}": path for name, path in _operations(servers, loop, stack)}


def _calls(servers: Servers, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> Iterator[tuple[str, Turn]]:
    sqlite = stack.enter_context(SqlStore(servers.sqlite, namespace=_NAME))
    breaker = stack.enter_context(CircuitBreaker(sqlite, max_staleness=_HEALTHY_FOREVER))
    sqlite.force_open("refused", stores.HELD)
    yield "healthy call", calling(partial(breaker.call, "healthy", answer))
    yield "refused call", calling(suppressing(CircuitBreakerOpenError, partial(breaker.call, "refused", answer)))
    memory = stack.enter_context(CircuitBreaker(InMemoryStore(), stores.NEVER_TRIPS))
    yield "failing call, in memory", calling(suppressing(DependencyError, partial(memory.call, "failing", fail)))
    asynchronous = AsyncCircuitBreaker(sqlite, max_staleness=_HEALTHY_FOREVER)
    stack.callback(lambda: loop.run_until_complete(asynchronous.close()))
    yield "healthy call, async", awaiting(loop, partial(asynchronous.call, "healthy", answer_async))


def _strict_calls(servers: Servers, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> Iterator[tuple[str, HotPath]]:
    by_hand = stack.enter_context(raw_psycopg(servers, relaxed=True))
    by_hand.make([_NAME])

    def read_and_succeed() -> None:
        by_hand.read(_NAME)
        by_hand.succeed(_NAME)

    reference = calling(read_and_succeed)
    store = stack.enter_context(SqlStore(servers.postgres, namespace=f"{servers.namespace}/strict"))
    breaker = stack.enter_context(CircuitBreaker(store, stores.NEVER_TRIPS, max_staleness=0, **HONEST))
    breaker.reset(_NAME)
    yield "strict call", HotPath(calling(partial(breaker.call, _NAME, answer)), reference)
    awaited = AsyncSqlStore(servers.postgres, namespace=store.namespace)
    stack.callback(lambda: loop.run_until_complete(awaited.close()))
    asynchronous = AsyncCircuitBreaker(awaited, stores.NEVER_TRIPS, max_staleness=0, **HONEST)
    stack.callback(lambda: loop.run_until_complete(asynchronous.close()))
    yield "strict call, async", HotPath(awaiting(loop, partial(asynchronous.call, _NAME, answer_async)), reference)


def _operations(servers: Servers, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> Iterator[tuple[str, HotPath]]:
    def opened(name: str) -> stores.Operations:
        operations = stack.enter_context(stores.STORES[name](servers))
        operations.make([_NAME])
        return operations

    pairs = [
        ("PostgreSQL", opened(stores.POSTGRES_RELAXED), stack.enter_context(raw_psycopg(servers, relaxed=True))),
        ("Redis", opened(stores.REDIS), opened(stores.MASSGEN)),
        ("SQLite", opened(stores.SQLITE), opened(stores.RAW_SQLITE)),
    ]
    for product, ours, reference in pairs:
        reference.make([_NAME])
        yield f"read, {product}", HotPath(calling(partial(ours.read, _NAME)), calling(partial(reference.read, _NAME)))
        if product != "SQLite":  # its writes wait for the disk, which hides everything else
            writes = calling(partial(ours.fail, _NAME)), calling(partial(reference.fail, _NAME))
            yield f"record_failure, {product}", HotPath(*writes)
    store = AsyncSqlStore(servers.postgres, namespace=f"{servers.namespace}/async", durability="relaxed")
    stack.callback(lambda: loop.run_until_complete(store.close()))
    by_hand = stack.enter_context(raw_psycopg_async(servers, loop, relaxed=True))
    yield (
        "record_failure, PostgreSQL, async",
        HotPath(
            awaiting(loop, partial(store.record_failure, _NAME, stores.NEVER_TRIPS)),
            awaiting(loop, partial(by_hand, _NAME)),
        ),
    )


def suppressing(error: type[Exception], operation: Callable[[], object]) -> Callable[[], None]:
    """Return a function that carries out an operation and drops its error."""

    def run() -> None:
        with suppress(error):
            operation()

    return run


def twice(turn: Turn) -> Turn:
    """Return a turn whose calls take as long as two calls of ``turn``."""

    def slower(calls: int, seconds: float) -> array[int]:
        return array("q", (2 * taken for taken in turn(calls, seconds)))

    return slower


def measure(path: HotPath, rounds: int = _ROUNDS) -> float:
    """Let a path and its reference take turns, and return the ratio of their lower quartiles.

    The lower quartile is steadier than the median when other programs take the processor away.
    """
    taken, base = array("q"), array("q")
    path.path(_CALLS // 4, _TURN), path.reference(_CALLS // 4, _TURN)
    for _ in range(rounds):
        taken.extend(path.path(_CALLS, _TURN))
        base.extend(path.reference(_CALLS, _TURN))
    return quantiles(taken, n=4)[0] / quantiles(base, n=4)[0]


def best(path: HotPath, kept: float | None) -> float:
    """Measure a path until it is within its limit, five times at most, and return the smallest ratio."""
    found = measure(path)
    for _ in range(_ATTEMPTS - 1):
        if kept is not None and found <= LIMIT * kept:
            break
        found = min(found, measure(path))
    return found


def judge(found: Mapping[str, float], kept: Mapping[str, float]) -> tuple[Table, bool]:
    """Compare the ratios with those that were kept.

    Args:
        found: The ratio of each path to its reference.
        kept: The same of an earlier run.

    Returns:
        A table, and whether every path is within its limit. A path that was not kept, or was not found, is not.
    """
    rows, within = [], set(found) == set(kept)
    for name in sorted({*found, *kept}):
        before, now = kept.get(name), found.get(name)
        change = now / before if now is not None and before is not None else None
        within = within and change is not None and change <= LIMIT
        rows.append((name, before, now, change, "not kept" if change is None else "" if change <= LIMIT else "SLOWER"))
    columns = ("", "kept", "found", f"found / kept, at most {LIMIT}", "")
    return Table("Hot paths, as ratios to their references", columns, tuple(rows)), within


def main(words: Sequence[str]) -> int:
    """Run from a command line; 0 when every hot path is within its limit."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.regression", description="Check that no hot path got slower."
    )
    parser.add_argument("--keep", action="store_true", help="keep the ratios of this run as those to compare with")
    parser.add_argument(
        "--double", metavar="PART", help="count the paths with this in their names twice: they must fail"
    )
    arguments = parser.parse_args(words)
    kept: dict[str, float] = {} if arguments.keep else json.loads(KEPT.read_text(encoding="utf-8"))
    try:
        with started() as (servers, _), event_loop() as loop, hot_paths(servers, loop) as paths:
            found = {}
            for name, path in paths.items():
                slowed = arguments.double and arguments.double in name
                found[name] = best(HotPath(twice(path.path), path.reference) if slowed else path, kept.get(name))
    except PublishedCodeMissing as error:
        sys.stdout.write(f"{error}\n")
        return 1
    if arguments.keep:
        KEPT.write_text(json.dumps({name: round(found[name], 3) for name in sorted(found)}, indent=1) + "\n", "utf-8")
        kept = found
    table, within = judge(found, kept)
    sys.stdout.write(as_text(table) + "\n")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
