"""The other operations of a store: a look, a success that finds nothing to clear, a claim won and one lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.results import MEDIAN, Section, Table, Target, at_most, latency_table, ratio
from benchmarks.stores import HELD, Operations
from benchmarks.timing import Contestant, Turn, calling, take_turns

NAME = "operated"

# With one durability: a claim is on the disk whatever it is, and the others write nothing.
_STORES = (stores.POSTGRES, stores.RAW_POSTGRES, stores.SQLITE, stores.RAW_SQLITE, stores.REDIS, stores.MASSGEN)
_BASES: Mapping[str, str | Mapping[str, str]] = {
    "raw": {stores.POSTGRES: stores.RAW_POSTGRES, stores.SQLITE: stores.RAW_SQLITE},
    "MassGen": stores.MASSGEN,
}


def _reading(operations: Operations) -> Turn:
    operations.make([NAME])
    return calling(partial(operations.read, NAME))


def _succeeding(operations: Operations) -> Turn:
    operations.make([NAME])
    return calling(partial(operations.succeed, NAME))


def _winning(operations: Operations) -> Turn:
    return calling(partial(operations.claim, NAME), partial(operations.open, NAME, 0.0))


def _losing(operations: Operations) -> Turn:
    operations.open(NAME, HELD)
    return calling(partial(operations.claim, NAME))


_OPERATIONS: dict[str, Callable[[Operations], Turn]] = {
    "read": _reading,
    "record_success, nothing to clear": _succeeding,
    "claim_probe, won": _winning,
    "claim_probe, lost": _losing,
}


def run(bench: Bench) -> Section:
    """Time each operation on one breaker."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context(stores.STORES[name](bench.servers)) for name in _STORES}
        tables = tuple(_table(title, opened, bench) for title in _OPERATIONS)
    return Section("Other operations", tables, tuple(_target(table) for table in tables))


def _table(title: str, opened: dict[str, Operations], bench: Bench) -> Table:
    contestants = [Contestant(name, _OPERATIONS[title](operations)) for name, operations in opened.items()]
    return latency_table(title, take_turns(contestants, bench.sizes), _BASES)


def _target(table: Table) -> Target:
    taken = ratio(table.number(stores.REDIS, MEDIAN), table.number(stores.MASSGEN, MEDIAN))
    return at_most(f"{table.title}, RedisStore, against MassGen RedisStore", taken, 1.2)
