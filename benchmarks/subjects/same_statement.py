"""Many clients on one breaker: the library, and the same statement through a psycopg cursor, in short turns."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.load import Done, Failures
from benchmarks.results import NAME, Cell, Section, Table, Target, at_least, over
from benchmarks.timing import latency

_BREAKER = "same statement"
_LIMITS = {
    stores.POSTGRES_RELAXED: stores.SAME,
    stores.RATE: stores.SAME_RATE,
    stores.GUARDED: stores.SAME_GUARDED,
    stores.GUARDED_RATE: stores.SAME_GUARDED_RATE,
}
_PROMISED = {
    stores.POSTGRES_RELAXED: "record_failure, relaxed",
    stores.RATE: "record_failure, relaxed, FailureRate",
}


@dataclass
class Turns:
    """What one contestant did with one number of clients.

    Attributes:
        rates: Calls a second, round by round.
        taken: How long each call took, nanoseconds.
    """

    rates: list[float] = field(default_factory=list)
    taken: array[int] = field(default_factory=lambda: array("q"))

    def add(self, parts: list[Done]) -> None:
        """Add one round, of which each process did a part."""
        self.rates.append(sum(part.rate for part in parts))
        for part in parts:
            self.taken.extend(part.taken)


Found = Mapping[tuple[str, int], Turns]
"""By contestant and number of clients."""


def run(bench: Bench) -> Section:
    """Let the same clients count failures of one breaker, each store directly before or after its limit."""
    contestants = [*(name for pair in _LIMITS.items() for name in pair), stores.MASSGEN]
    for name in contestants:
        with stores.STORES[name](bench.servers) as operations:
            operations.make([_BREAKER])
    found = {(name, clients): Turns() for clients in bench.sizes.clients for name in contestants}
    for clients in bench.sizes.clients:
        processes = min(clients, bench.sizes.processes)
        for number in range(bench.sizes.short_rounds):
            # The order changes with each round.
            for name in contestants if number % 2 else reversed(contestants):
                job = Failures(bench.servers, name, (_BREAKER,), clients // processes, bench.sizes.short_seconds)
                found[name, clients].add(bench.crew.finish(job, processes))
    return Section("Many clients, against the same statement by hand", (_table(bench, found),), _targets(bench, found))


def _table(bench: Bench, found: Found) -> Table:
    columns = [NAME]
    for clients in bench.sizes.clients:
        columns += [
            f"{clients}: ops/s",
            f"{clients}: p99 ms",
            f"{clients}: {over('same statement')}",
            f"{clients}: {over('MassGen')}",
        ]
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        cells: list[Cell] = [name]
        for clients in bench.sizes.clients:
            turns = found[name, clients]
            cells += [median(turns.rates), latency(turns.taken).p99 / 1000]
            cells += [_against(found, name, limit, clients) for limit in (_LIMITS.get(name), stores.MASSGEN)]
        rows.append(tuple(cells))
    return Table(
        f"Failures counted by 1 to {bench.sizes.clients[-1]} clients on 1 breaker", tuple(columns), tuple(rows)
    )


def _against(found: Found, name: str, base: str | None, clients: int) -> float | None:
    """Return the median, over all rounds, of the calls a second as a share of those of another in the same round."""
    if base is None:
        return None
    rates, bases = found[name, clients].rates, found[base, clients].rates
    return median(rate / other for rate, other in zip(rates, bases, strict=True))


def _targets(bench: Bench, found: Found) -> tuple[Target, ...]:
    return tuple(
        at_least(
            f"{promised}, {clients} clients on one row, ops/s against raw psycopg by the same statement",
            _against(found, name, _LIMITS[name], clients),
            0.9,
        )
        for clients in bench.sizes.clients[1:]
        for name, promised in _PROMISED.items()
    )
