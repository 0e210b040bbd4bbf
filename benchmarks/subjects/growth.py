"""Growth: the same operations on a table of ten breakers and on one of a million."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random

import psycopg

from benchmarks.bench import Bench
from benchmarks.results import Section, Table, Target, at_most, latency_table, over
from benchmarks.servers import RELAXED, Servers, prepared
from benchmarks.stores import NEVER_TRIPS
from benchmarks.timing import Contestant, calling, take_turns
from cbstore_sql import SqlStore, migrate

_NAMESPACE = "grown"
_IN_USE = 10
_FEWEST = "fewest"

Stores = Mapping[int, SqlStore]
"""A store for each table, by its number of rows."""


def run(bench: Bench) -> Section:
    """Time a look and a failure on tables of different sizes, on breakers drawn at random."""
    with prepared(bench.servers.postgres, bench.servers.redis) as servers, ExitStack() as stack:
        stores = {rows: stack.enter_context(_filled(servers, rows)) for rows in bench.sizes.breakers}
        look = {rows: store.read for rows, store in stores.items()}
        fail = {rows: partial(store.record_failure, policy=NEVER_TRIPS) for rows, store in stores.items()}
        tables = (_compare("read", look, bench), _compare("record_failure, relaxed", fail, bench))
    return Section("Growth", tables, tuple(_target(table, bench) for table in tables))


@contextmanager
def _filled(servers: Servers, rows: int) -> Iterator[SqlStore]:
    schema = f"rows_{rows}"
    migrate(servers.postgres, schema=schema)
    with psycopg.connect(servers.conninfo, autocommit=True, options=RELAXED) as connection:
        connection.execute(
            f"INSERT INTO {schema}.breakers (namespace, name)"
            " SELECT %s, 'b' || number FROM generate_series(1, %s) AS number",
            (_NAMESPACE, rows),
        )
        connection.execute(f"VACUUM ANALYZE {schema}.breakers")
        connection.execute("CHECKPOINT")
    # Without the wait for the disk, which would make all of them look alike.
    with SqlStore(servers.session(options=RELAXED), namespace=_NAMESPACE, schema=schema) as store:
        yield store


def _compare(title: str, operations: Mapping[int, Callable[[str], object]], bench: Bench) -> Table:
    contestants = []
    for rows, operation in operations.items():
        contestants.append(Contestant(_all_in_use(rows), calling(_at_random(operation, rows))))
    largest = max(operations)
    contestants.append(Contestant(_few_in_use(largest), calling(_at_random(operations[largest], _IN_USE))))
    found = take_turns(contestants, bench.sizes)
    return latency_table(f"{title}, by the number of breakers", found, {_FEWEST: _all_in_use(min(operations))})


def _at_random(operation: Callable[[str], object], names: int) -> Callable[[], object]:
    draw = Random(names).randint
    return lambda: operation(f"b{draw(1, names)}")


def _all_in_use(rows: int) -> str:
    return f"{rows:,} breakers"


def _few_in_use(rows: int) -> str:
    return f"{rows:,} breakers, {_IN_USE} in use"


def _target(table: Table, bench: Bench) -> Target:
    most, fewest = max(bench.sizes.breakers), min(bench.sizes.breakers)
    promise = f"{table.title}: {most:,} against {fewest:,}"
    return at_most(promise, table.number(_all_in_use(most), over(_FEWEST)), 1.2)
