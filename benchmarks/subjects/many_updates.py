"""Wear: one row after it has been updated very many times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import psycopg

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.load import Failures
from benchmarks.results import NAME, Cell, Section, Table, Target, at_least, at_most, latency_table, over
from benchmarks.servers import RELAXED, Servers, prepared
from benchmarks.timing import Contestant, calling, take_turns

_HOT_ROW = "hot"
_PATIENCE = 1000.0
_STATISTICS = """SELECT n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count, pg_total_relation_size(relid)
FROM pg_stat_user_tables WHERE relname = 'breakers'"""

_UPDATES, _HOT, _DEAD, _VACUUMS, _SIZE = "updates", "HOT %", "dead rows", "autovacuums", "size kB"
_NEW = "new"


def run(bench: Bench) -> Section:
    """Update one row from all processes, then look at its table and compare it with a new one."""
    many, some = bench.sizes.updates, bench.sizes.updates // 20
    worn, held = f"after {many:,} updates", f"after {some:,} updates, an old snapshot still open"
    with ExitStack() as stack:
        databases = {name: stack.enter_context(_a_database(bench)) for name in (_NEW, worn, held)}
        wear = [_wear(bench, databases[worn], worn, many)]
        # Another transaction of the same database that has begun before and looks at the past.
        reader = stack.enter_context(psycopg.connect(databases[held].conninfo))
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        wear.append(_wear(bench, databases[held], held, some))
        latencies = _compare(bench, databases)
        reader.rollback()
    table = Table("The table of one row", (NAME, _UPDATES, _HOT, _DEAD, _VACUUMS, _SIZE), tuple(wear))
    return Section("Wear of one row", (table, latencies), _targets(worn, table, latencies))


@contextmanager
def _a_database(bench: Bench) -> Iterator[Servers]:
    with prepared(bench.servers.postgres, bench.servers.redis) as servers:
        # Waiting for the disk would hide what the row's history costs.
        relaxed = replace(servers, postgres=servers.session(options=RELAXED))
        with stores.STORES[stores.POSTGRES](relaxed) as operations:
            operations.make([_HOT_ROW])
        yield relaxed


def _wear(bench: Bench, servers: Servers, name: str, updates: int) -> tuple[Cell, ...]:
    processes = bench.sizes.processes
    job = Failures(servers, stores.POSTGRES, (_HOT_ROW,), 1, _PATIENCE, calls=updates // processes)
    bench.crew.finish(job, processes)
    made, hot, dead, vacuums, size = _statistics(servers, updates // processes * processes)
    return name, made, 100 * hot / made, dead, vacuums, size / 1024


def _statistics(servers: Servers, updates: int) -> tuple[int, ...]:
    """StoreCall until the sessions of the processes have handed in their counts, which they do as they end."""
    with psycopg.connect(servers.conninfo, autocommit=True) as connection:
        while True:
            row = connection.execute(_STATISTICS).fetchone()
            if row is not None and row[0] >= updates:
                return row
            time.sleep(0.05)


def _compare(bench: Bench, databases: dict[str, Servers]) -> Table:
    with ExitStack() as stack:
        opened = {name: stack.enter_context(stores.STORES[stores.POSTGRES](place)) for name, place in databases.items()}
        contestants = [Contestant(name, calling(partial(each.fail, _HOT_ROW))) for name, each in opened.items()]
        return latency_table("record_failure on that row, relaxed", take_turns(contestants, bench.sizes), {_NEW: _NEW})


def _targets(worn: str, table: Table, latencies: Table) -> tuple[Target, ...]:
    return (
        at_least(f"HOT updates {worn} of one row", table.number(worn, _HOT), 99.9, "%"),
        at_most(f"median {worn} of one row, against a new one", latencies.number(worn, over(_NEW)), 1.2),
        at_most(f"its table {worn}", table.number(worn, _SIZE), 1024, "kB"),
    )
