"""Many clients at once: failures counted by one to many, all on one breaker or spread over a thousand."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.load import Failures
from benchmarks.results import NAME, Cell, Section, Table, Target, at_least, over, ratio
from benchmarks.timing import latency

# Only what one store is told can be counted together.
_COMBINED = (stores.POSTGRES_COMBINED, stores.POSTGRES_RELAXED_COMBINED)

_CONTESTANTS = (
    stores.POSTGRES,
    stores.POSTGRES_RELAXED,
    *_COMBINED,
    stores.RAW_POSTGRES_RELAXED,
    stores.SQLITE,
    stores.REDIS,
    stores.MASSGEN,
)


@dataclass
class Seen:
    """What the same number of clients did with one store.

    Attributes:
        taken: How long each call took, nanoseconds.
        rates: Calls a second, round by round.
    """

    taken: array[int] = field(default_factory=lambda: array("q"))
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Calls a second, the median of the rounds."""
        return median(self.rates)


Found = Mapping[tuple[str, int], Seen]
"""By contestant and number of clients."""


def run(bench: Bench) -> Section:
    """Let the same clients count failures in every store, one store after the other, a few times over."""
    tables = {rows: _table(bench, rows, _measure(bench, rows)) for rows in bench.sizes.rows}
    return Section("Many clients", tuple(tables.values()), _targets(bench, tables[bench.sizes.rows[0]]))


def _measure(bench: Bench, rows: int) -> Found:
    breakers = tuple(f"shared {number}" for number in range(rows))
    for name in _CONTESTANTS:
        with stores.STORES[name](bench.servers) as operations:
            operations.make(breakers)
    found = {(name, clients): Seen() for clients in bench.sizes.clients for name in _CONTESTANTS}
    for _ in range(bench.sizes.load_rounds):
        for (name, clients), seen in found.items():
            processes = min(clients, bench.sizes.processes)
            shared = name in _COMBINED
            job = Failures(bench.servers, name, breakers, clients // processes, bench.sizes.load_seconds, shared)
            parts = bench.crew.finish(job, processes)
            seen.rates.append(sum(part.rate for part in parts))
            for part in parts:
                seen.taken.extend(part.taken)
    return found


def _table(bench: Bench, rows: int, found: Found) -> Table:
    columns = [NAME]
    for clients in bench.sizes.clients:
        columns += [_rate_column(clients), f"{clients}: p99 ms", _ratio_column(clients)]
    table = []
    for name in _CONTESTANTS:
        cells: list[Cell] = [name]
        for clients in bench.sizes.clients:
            seen = found[name, clients]
            cells += [seen.rate, latency(seen.taken).p99 / 1000, ratio(seen.rate, found[stores.MASSGEN, clients].rate)]
        table.append(tuple(cells))
    breakers = "1 breaker" if rows == 1 else f"{rows:,} breakers"
    return Table(
        f"record_failure by 1 to {bench.sizes.clients[-1]} clients on {breakers}", tuple(columns), tuple(table)
    )


def _rate_column(clients: int) -> str:
    return f"{clients}: ops/s"


def _ratio_column(clients: int) -> str:
    return f"{clients}: {over('MassGen')}"


def _targets(bench: Bench, hot: Table) -> tuple[Target, ...]:
    ours = {"relaxed": stores.POSTGRES_RELAXED, "relaxed and combined": stores.POSTGRES_RELAXED_COMBINED}
    return tuple(
        at_least(
            f"record_failure, {how}, {clients} clients on one row, ops/s against MassGen RedisStore",
            hot.number(name, _ratio_column(clients)),
            1.0,
        )
        for clients in bench.sizes.clients[1:]
        for how, name in ours.items()
    )
