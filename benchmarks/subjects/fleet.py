"""A fleet of healthy processes: what their refreshes cost the server.

A breaker object with its own background thread stands for a process, so that a thousand of them fit one machine. The
breakers of one simulated host share a store and, with ``share_reads``, their reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.guards import HONEST, answer
from benchmarks.results import NAME, Cell, Section, Table, Target, at_most
from benchmarks.servers import Servers
from benchmarks.workers import Work
from cbstore_sql import CircuitBreaker, SqlStore

_WAYS: Mapping[str, dict[str, Any]] = {
    "view (0.25 s)": {},
    "view (0.25 s), shared reads": {"share_reads": True},
    "view (5 s)": {"max_staleness": 5.0},
    "view (5 s), shared reads": {"max_staleness": 5.0, "share_reads": True},
}
_CALL_EVERY = 0.05
_BREAKERS = ("payments", "search", "mail")

_SERVER, _CLIENT = "server ms/s per process", "client ms/s per process"
_STATEMENTS, _CONNECTIONS = "statements/s per process", "connections per host"


@dataclass(frozen=True)
class Hosts:
    """Makes healthy calls through the breakers of some simulated hosts until told to stop.

    Attributes:
        servers: Where the breakers are.
        hosts: The names of the hosts.
        processes: The number of breaker objects of each host.
        options: More arguments for each breaker object.
    """

    servers: Servers
    hosts: tuple[str, ...]
    processes: int
    options: Mapping[str, Any]

    @contextmanager
    def begin(self) -> Iterator[Work[float]]:
        """See `Job`; found is the processor time of this process, in seconds for each second."""
        with ExitStack() as stack:
            calls = []
            for host in self.hosts:
                # The name of the session tells the hosts apart: processes share reads only with the same URL.
                url = self.servers.session(application_name=host)
                store = stack.enter_context(SqlStore(url, namespace=self.servers.namespace))
                for _ in range(self.processes):
                    breaker = stack.enter_context(CircuitBreaker(store, **{**HONEST, **self.options}))
                    calls += [(breaker.call, name) for name in _BREAKERS]
            for call, name in calls:
                call(name, answer)
            yield lambda stopped: self._call(calls, stopped)

    def _call(self, calls: Sequence[tuple[Callable[..., object], str]], stopped: Callable[[], bool]) -> float:
        began, used = time.monotonic(), time.process_time()
        while not stopped():
            for call, name in calls:
                call(name, answer)
            time.sleep(_CALL_EVERY)
        return (time.process_time() - used) / (time.monotonic() - began)


def run(bench: Bench) -> Section:
    """Measure fleets of several sizes, each with every way of refreshing."""
    tables = tuple(_table(bench, hosts, processes) for hosts, processes in bench.sizes.fleets)
    remarks = ("A call of each of three breakers every 50 ms keeps them in use; the calls themselves do no I/O.",)
    return Section("A fleet of healthy processes", tables, _targets(tables), remarks)


def _table(bench: Bench, hosts: int, processes: int) -> Table:
    rows = tuple((way, *_measured(bench, hosts, processes, options)) for way, options in _WAYS.items())
    title = f"{hosts * processes:,} processes, {processes} on each of {hosts} hosts"
    return Table(title, (NAME, _SERVER, _CLIENT, _STATEMENTS, _CONNECTIONS), rows)


def _measured(bench: Bench, hosts: int, processes: int, options: Mapping[str, Any]) -> tuple[Cell, ...]:
    names, workers = [f"host{number}" for number in range(hosts)], min(hosts, bench.sizes.processes)
    jobs = [Hosts(bench.servers, tuple(names[number::workers]), processes, options) for number in range(workers)]
    with psycopg.connect(bench.servers.conninfo, autocommit=True) as watcher, bench.crew.each_at_work(jobs) as used:
        time.sleep(bench.sizes.fleet_settling)
        before, began = _server(watcher), time.monotonic()
        time.sleep(bench.sizes.fleet_seconds)
        after, seconds = _server(watcher), time.monotonic() - began
        row = watcher.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'host%'").fetchone()
        connections = row[0] if row else 0
    fleet = hosts * processes
    statements = (after.statements - before.statements) / seconds
    server = None
    if before.processor is not None and after.processor is not None:
        server = 1000 * (after.processor - before.processor) / seconds / fleet
    return server, 1000 * sum(used) / fleet, statements / fleet, connections / hosts


@dataclass(frozen=True)
class _Server:
    """Totals of the server.

    Attributes:
        processor: The processor time of all sessions, in seconds; ``None`` if the server runs in a container or on
            another machine, where its processes cannot be seen.
        statements: The number of statements.
    """

    processor: float | None
    statements: int


def _server(watcher: psycopg.Connection[Any]) -> _Server:
    watcher.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
    row = watcher.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").fetchone()
    return _Server(_sessions_time(watcher.info.backend_pid), row[0] if row else 0)


def _sessions_time(session: int) -> float | None:
    """Return the processor time of all processes that the parent of a session has started, in seconds."""
    try:
        name, _, status = Path(f"/proc/{session}/stat").read_text().rpartition(")")
        if "postgres" not in name:
            return None  # the server has another process with this number in its container
        parent = status.split()[1]
        return sum(map(_processor_time, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))
    except FileNotFoundError:
        return None


def _processor_time(process: str) -> float:
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0


def _targets(tables: tuple[Table, ...]) -> tuple[Target, ...]:
    largest = tables[-1]
    found = largest.number("view (0.25 s), shared reads", _SERVER)
    if found is None:
        return ()
    processes = largest.title.partition(" ")[0]
    return (at_most(f"server time of each of {processes} processes, shared reads", found, 0.5, "ms/s"),)
