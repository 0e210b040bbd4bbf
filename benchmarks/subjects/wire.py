"""What goes over the wire and into the log: round trips and bytes of WAL, counted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from statistics import mean, median

import psycopg

from benchmarks import guards, stores
from benchmarks.bench import Bench
from benchmarks.results import NAME, Cell, Section, Table
from benchmarks.servers import Servers
from tests.system.faults.proxy import FaultProxy

_BREAKER = "counted"
_INSERTED = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
_COLUMNS = ("round trips", "WAL bytes")
_ON_POSTGRES = "PostgreSQL"

_STORES = (stores.POSTGRES, stores.REDIS, stores.MASSGEN)
_GUARDS = tuple(name for name in guards.GUARDS if name != guards.STRICT_SQLITE)

Operation = Callable[[], object]


class Meter:
    """Counts what single operations cost.

    Args:
        connection: Tells how much WAL there is, without going through the proxies.
        proxies: Before all servers.
        calls: How many operations are counted.
    """

    def __init__(self, connection: psycopg.Connection, proxies: tuple[FaultProxy, ...], calls: int) -> None:
        self._connection = connection
        self._proxies = proxies
        self._calls = calls

    def count(self, operation: Operation, prepare: Operation | None = None) -> tuple[float, float]:
        """Return the mean of the round trips of one operation and the median of its WAL bytes."""
        prepare = prepare or (lambda: None)
        prepare()
        operation()
        found = []
        for _ in range(self._calls):
            prepare()
            before = self._now()
            operation()
            found.append([after - earlier for after, earlier in zip(self._now(), before, strict=True)])
        trips, written = zip(*found, strict=True)
        return mean(trips), median(written)

    def _now(self) -> tuple[int, int]:
        row = self._connection.execute(_INSERTED).fetchone() or (0,)
        return sum(proxy.round_trips for proxy in self._proxies), row[0]


def run(bench: Bench) -> Section:
    """Count round trips and WAL bytes of each operation and of guarded calls."""
    servers = bench.servers
    with ExitStack() as stack:
        postgres = stack.enter_context(FaultProxy(servers.postgres))
        redis = stack.enter_context(FaultProxy(servers.redis))
        connection = stack.enter_context(psycopg.connect(servers.conninfo, autocommit=True))
        meter = Meter(connection, (postgres, redis), bench.sizes.wire_calls)
        counted = servers.at(postgres=postgres.address, redis=redis.address)
        return Section("Round trips and WAL", (_operations(counted, meter), _guarded(counted, meter)))


def _operations(servers: Servers, meter: Meter) -> Table:
    columns = [NAME]
    rows: dict[str, list[Cell]] = {}
    for name in _STORES:
        columns += [f"{name}: {column}" for column in _columns(name)]
        with stores.STORES[name](servers) as opened:
            for title, (operation, prepare) in _of(opened).items():
                counted = meter.count(operation, prepare)
                rows.setdefault(title, [title]).extend(counted[: len(_columns(name))])
    return Table("An operation of a store", tuple(columns), tuple(tuple(cells) for cells in rows.values()))


def _of(opened: stores.Operations) -> dict[str, tuple[Operation, Operation | None]]:
    opening = partial(opened.open, _BREAKER)
    return {
        "read": (partial(opened.read, _BREAKER), None),
        "record_failure": (partial(opened.fail, _BREAKER), None),
        "record_success, nothing to clear": (partial(opened.succeed, _BREAKER), partial(opened.make, [_BREAKER])),
        "claim_probe, won": (partial(opened.claim, _BREAKER), partial(opening, 0.0)),
        "claim_probe, lost": (partial(opened.claim, _BREAKER), partial(opening, stores.HELD)),
    }


def _columns(name: str) -> tuple[str, ...]:
    return _COLUMNS if _ON_POSTGRES in name else _COLUMNS[:1]


def _guarded(servers: Servers, meter: Meter) -> Table:
    columns = (NAME, *(f"{outcome}: {column}" for outcome in ("answers", "fails") for column in _COLUMNS))
    rows = []
    with guards.event_loop() as loop:
        for name in _GUARDS:
            with guards.GUARDS[name](servers, loop) as guard:
                cells = (*meter.count(guard.answer), *meter.count(guard.fail, guard.before_failing))
            keeps_log = _ON_POSTGRES in name
            rows.append((name, *(cell if keeps_log or index % 2 == 0 else None for index, cell in enumerate(cells))))
    return Table("A guarded call", columns, tuple(rows))
