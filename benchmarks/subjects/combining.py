"""Many threads of one process: their failures, each written by itself or those of one moment together."""

from __future__ import annotations

from array import array
from statistics import median

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.load import Done, Failures
from benchmarks.results import NAME, Section, Table, over, ratio
from benchmarks.timing import latency

_BREAKER = "combined"
_STORES = (
    stores.POSTGRES,
    stores.POSTGRES_COMBINED,
    stores.POSTGRES_RELAXED,
    stores.POSTGRES_RELAXED_COMBINED,
    stores.MASSGEN,
)
_COLUMNS = (NAME, "ops/s", "median ms", "p99 ms", over("MassGen"))


def run(bench: Bench) -> Section:
    """Let the threads of one process count failures of one breaker through one store, in turns."""
    for name in _STORES:
        with stores.STORES[name](bench.servers) as operations:
            operations.make([_BREAKER])
    return Section("Combined writes", tuple(_table(bench, threads) for threads in bench.sizes.threads))


def _table(bench: Bench, threads: int) -> Table:
    found: dict[str, list[Done]] = {name: [] for name in _STORES}
    for _ in range(bench.sizes.load_rounds):
        for name, done in found.items():
            job = Failures(bench.servers, name, (_BREAKER,), threads, bench.sizes.load_seconds, shared=True)
            done.extend(bench.crew.finish(job, 1))
    rates = {name: median(each.rate for each in done) for name, done in found.items()}
    rows = []
    for name, done in found.items():
        calls = latency(array("q", [nanoseconds for each in done for nanoseconds in each.taken]))
        rows.append(
            (name, rates[name], calls.median / 1000, calls.p99 / 1000, ratio(rates[name], rates[stores.MASSGEN]))
        )
    return Table(f"record_failure by {threads} threads of one process on 1 breaker", _COLUMNS, tuple(rows))
