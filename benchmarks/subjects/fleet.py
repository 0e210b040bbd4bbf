"""A fleet of healthy processes: what their refreshes cost the server, directly and behind PgBouncer.

A breaker object with its own store and background thread stands for a process, so that a thousand of them fit one
machine. With ``share_reads``, the processes of one simulated host share their reads.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.guards import DependencyError, fail
from benchmarks.hosts import APPLICATION, BREAKERS, Found, Hosts
from benchmarks.results import NAME, Cell, Section, Table, Target, at_most
from benchmarks.server_load import processor_time, server_load
from benchmarks.servers import Servers, prepared
from cbstore_sql import CircuitBreakerOpenError
from tests.servers import wheels
from tests.stores.sql.pooler import PROGRAM, pooler


@dataclass(frozen=True)
class _Way:
    """A way of refreshing.

    Attributes:
        options: More arguments for each breaker object.
        pool_mode: How PgBouncer, which stands in front, gives sessions to the processes; ``None`` without PgBouncer.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    pool_mode: str | None = None


_SHARED, _SELDOM = {"share_reads": True}, {"max_staleness": 5.0}
_PUSHED = {**_SELDOM, "push": True}
_DIRECT: Mapping[str, _Way] = {
    "view (0.25 s)": _Way(),
    "view (0.25 s), shared reads": _Way(_SHARED),
    "view (5 s)": _Way(_SELDOM),
    "view (5 s), shared reads": _Way({**_SELDOM, **_SHARED}),
    "view (5 s) and push": _Way(_PUSHED),
}
_POOLED: Mapping[str, _Way] = {
    "PgBouncer: view (0.25 s)": _Way(pool_mode="transaction"),
    "PgBouncer: view (0.25 s), shared reads": _Way(_SHARED, "transaction"),
    "PgBouncer: view (5 s) and push": _Way(_PUSHED, "transaction"),
    "PgBouncer, sessions: view (0.25 s)": _Way(pool_mode="session"),
}
_POOL = 20
_SPARE = 50

_SERVER, _POOLER, _CLIENT = (f"{part} ms/s per process" for part in ("server", "PgBouncer", "client"))
_COLUMNS = (
    NAME,
    _SERVER,
    _POOLER,
    _CLIENT,
    "statements/s per process",
    "server connections",
    "calls failed",
    "slowest to notice, s",
)


def run(bench: Bench) -> Section:
    """Measure fleets of several sizes, each with every way of refreshing."""
    tables = tuple(_table(bench, hosts, processes) for hosts, processes in bench.sizes.fleets)
    remarks = [
        "A call of each of three breakers every 50 ms keeps them in use; the calls themselves do no I/O.",
        "At the end, another process opens a circuit. The last column is the time until all processes refuse calls.",
        f"In transaction mode, PgBouncer has a pool of {_POOL} sessions; in session mode, one for each process.",
    ]
    if PROGRAM is None:
        remarks[-1] = "PgBouncer is not installed, so nothing was measured behind it."
    return Section("A fleet of healthy processes", tables, _targets(tables), tuple(remarks))


def _table(bench: Bench, hosts: int, processes: int) -> Table:
    fleet = hosts * processes
    with _roomy(bench.servers, 2 * fleet + _SPARE) as (servers, limit):
        rows = tuple(
            (name, *_Fleet(bench, servers, hosts, processes, way).measured())
            for ways in ((_DIRECT, _POOLED) if PROGRAM else (_DIRECT,))
            for name, way in islice(ways.items(), bench.sizes.fleet_ways)
        )
    title = f"{fleet:,} processes, {processes} on each of {hosts} hosts, max_connections={limit}"
    return Table(title, _COLUMNS, rows)


@contextmanager
def _roomy(servers: Servers, connections: int) -> Iterator[tuple[Servers, int]]:
    """Yield servers whose PostgreSQL accepts so many connections, with its limit: these, or others for this block."""
    with psycopg.connect(servers.conninfo) as asking:
        row = asking.execute("SHOW max_connections").fetchone()
    limit = int(row[0]) if row else 0
    if limit >= connections:
        yield servers, limit
        return
    with wheels.postgres(connections) as url, prepared(url, servers.redis) as larger:
        yield larger, connections


@dataclass(frozen=True)
class _Fleet:
    """One fleet with one way of refreshing.

    Attributes:
        bench: The run.
        servers: Where the breakers are.
        hosts: The number of hosts.
        processes: The number of processes of each host.
        way: How they refresh.
    """

    bench: Bench
    servers: Servers
    hosts: int
    processes: int
    way: _Way

    def measured(self) -> tuple[Cell, ...]:
        """Return the cells of the fleet's row."""
        sizes, fleet = self.bench.sizes, self.hosts * self.processes
        with (
            self._entrance() as (url, pooler_process),
            psycopg.connect(self.servers.conninfo, autocommit=True) as watcher,
            self.bench.crew.each_at_work(jobs := self._jobs(url)) as found,
        ):
            time.sleep(sizes.fleet_settling)
            began, before, pooler_before = time.monotonic(), server_load(watcher), processor_time(pooler_process)
            time.sleep(sizes.fleet_seconds)
            ended, after, pooler_after = time.monotonic(), server_load(watcher), processor_time(pooler_process)
            connections = self._connections(watcher)
            opened = _open_one(jobs[0])
            time.sleep(sizes.fleet_noticing)
        seconds, server = ended - began, after.processor_since(before)
        return (
            None if server is None else 1000 * server / seconds / fleet,
            1000 * (pooler_after - pooler_before) / seconds / fleet if self.way.pool_mode else None,
            1000 * sum(each.processor for each in found) / fleet,
            (after.statements - before.statements) / seconds / fleet,
            connections,
            sum(each.failed for each in found),
            _slowest(found, opened, fleet),
        )

    @contextmanager
    def _entrance(self) -> Iterator[tuple[str, int]]:
        """Yield the URL of the fleet, and the process of the PgBouncer behind it (0 without PgBouncer)."""
        if self.way.pool_mode is None:
            yield self.servers.postgres, 0
            return
        clients = 2 * self.hosts * self.processes + _SPARE
        pool = _POOL if self.way.pool_mode == "transaction" else clients
        settings = {"pool_mode": self.way.pool_mode, "max_client_conn": clients, "default_pool_size": pool}
        with pooler(self.servers.postgres, settings) as running:
            yield running.url, running.process

    def _jobs(self, url: str) -> list[Hosts]:
        workers, namespace = min(self.hosts, self.bench.sizes.processes), uuid.uuid4().hex
        return [
            Hosts(url, namespace, tuple(range(number, self.hosts, workers)), self.processes, self.way.options)
            for number in range(workers)
        ]

    def _connections(self, watcher: psycopg.Connection[Any]) -> int:
        row = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (APPLICATION,)
        ).fetchone()
        return row[0] if row else 0


def _open_one(job: Hosts) -> float:
    """Let calls of one breaker fail until its circuit is open, and return the moment."""
    with job.process(0) as breaker:
        while True:
            try:
                breaker.call(BREAKERS[-1], fail)
            except CircuitBreakerOpenError:
                return time.monotonic()  # closing takes time, so not after it
            except DependencyError:
                continue


def _slowest(found: list[Found], opened: float, fleet: int) -> float | None:
    """Return the seconds until the last process noticed the open circuit; ``None`` if one did not."""
    noticed = [moment for each in found for moment in each.noticed]
    return max(noticed) - opened if len(noticed) == fleet else None


def _targets(tables: tuple[Table, ...]) -> tuple[Target, ...]:
    largest = tables[-1]
    found = largest.number("view (0.25 s), shared reads", _SERVER)
    if found is None:
        return ()
    processes = largest.title.partition(" ")[0]
    return (at_most(f"server time of each of {processes} processes, shared reads", found, 0.5, "ms/s"),)
