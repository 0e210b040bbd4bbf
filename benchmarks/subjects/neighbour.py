"""The neighbour: what an application on the same server loses by the guards of 1,000 calls a second.

The calling processes share the machine, so what they cost by calling at all is set apart: a loss is counted from the
same calls without a breaker.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import median

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.bench import Bench
from benchmarks.guards import MASSGEN, PUSH, STRICT, UNGUARDED, VIEW
from benchmarks.load import Paced
from benchmarks.results import NAME, Cell, Section, Table, Target, at_most, ratio
from benchmarks.servers import Servers, pgbench, prepared
from benchmarks.timing import rotated

_CALLS_A_SECOND = 1000.0
_SESSIONS = "guarding"
_LOAD = ("--client=4", "--protocol=prepared", "--no-vacuum")

_ALONE, _AGAIN = "pgbench alone", f"{UNGUARDED}, once more"
_BESIDE = {
    _ALONE: None,
    UNGUARDED: UNGUARDED,
    **{name: name for name in (VIEW, PUSH, STRICT, MASSGEN)},
    _AGAIN: UNGUARDED,
}

_TPS, _LOST, _CONNECTIONS = "tps, median", "tps lost, median %", "connections per process"
_COLUMNS = (NAME, _TPS, _LOST, "least %", "most %", _CONNECTIONS)


@dataclass
class Seen:
    """What pgbench and the server told beside one breaker.

    Attributes:
        tps: Transactions a second, run by run.
        connections: To PostgreSQL, per calling process.
    """

    tps: list[float] = field(default_factory=list)
    connections: float | None = None


def run(bench: Bench) -> Section:
    """Run pgbench alone, beside calls without a breaker and with each, in turns and rotating order."""
    seen = {name: Seen() for name in _BESIDE}
    with prepared(bench.servers.postgres, bench.servers.redis) as neighbour:
        _pgbench(neighbour, "--initialize", "--quiet", f"--scale={bench.sizes.pgbench_scale}")
        for number in range(bench.sizes.neighbour_rounds):
            for name in rotated([*seen], number):
                each = seen[name]
                with _beside(bench, _BESIDE[name], each):
                    each.tps.append(_tps(_pgbench(neighbour, *_LOAD, bench.sizes.pgbench)))
    rows = tuple(_row(name, each, seen[UNGUARDED].tps) for name, each in seen.items())
    title = f"pgbench beside {bench.sizes.processes} processes with {_CALLS_A_SECOND:,.0f} guarded calls a second"
    table = Table(title, _COLUMNS, rows)
    return Section("The neighbour", (table,), _targets(table))


@contextmanager
def _beside(bench: Bench, guard: str | None, seen: Seen) -> Iterator[None]:
    if guard is None:
        yield
        return
    servers = replace(bench.servers, postgres=bench.servers.session(application_name=_SESSIONS))
    processes = bench.sizes.processes
    with bench.crew.at_work(Paced(servers, guard, _CALLS_A_SECOND / processes), processes):
        yield
        seen.connections = _sessions(bench.servers) / processes


def _sessions(servers: Servers) -> int:
    counting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(servers.conninfo) as connection:
        row = connection.execute(counting, (_SESSIONS,)).fetchone()
    return row[0] if row else 0


def _pgbench(servers: Servers, *options: str) -> str:
    url = make_url(servers.postgres)
    # On the command line everybody could read the password.
    place = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    environment = os.environ | {name: str(value) for name, value in place.items()} | {"PGDATABASE": str(url.database)}
    done = subprocess.run([pgbench(), *options], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def _tps(report: str) -> float:
    found = re.search(r"tps = ([\d.]+)", report)
    if found is None:
        raise ValueError("pgbench does not tell its tps")
    return float(found[1])


def _row(name: str, seen: Seen, unguarded: list[float]) -> tuple[Cell, ...]:
    if name == UNGUARDED:
        return name, median(unguarded), None, None, None, None
    lost = [100 * (1 - tps / base) for tps, base in zip(seen.tps, unguarded, strict=True)]
    return name, median(seen.tps), median(lost), min(lost), max(lost), seen.connections


def _targets(table: Table) -> tuple[Target, ...]:
    return (
        at_most("the neighbour's tps lost, with views", _against_nobody(table, VIEW), 2, "%"),
        at_most(
            "the neighbour's tps lost, with views, against the same calls unguarded", table.number(VIEW, _LOST), 2, "%"
        ),
        at_most("connections per process, with views", table.number(VIEW, _CONNECTIONS), 1),
        at_most("connections per process, with views and push", table.number(PUSH, _CONNECTIONS), 2),
    )


def _against_nobody(table: Table, name: str) -> float | None:
    kept = ratio(table.number(name, _TPS), table.number(_ALONE, _TPS))
    return None if kept is None else 100 * (1 - kept)
