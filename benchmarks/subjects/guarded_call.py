"""A guarded call: what the breaker adds to a call that answers, and to one that fails."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.bench import Bench
from benchmarks.guards import GUARDS, MASSGEN, PYBREAKER, STRICT, VIEW, event_loop
from benchmarks.results import MEDIAN, Section, Table, Target, at_most, latency_table, ratio
from benchmarks.timing import Contestant, take_turns

BASES = {"MassGen": MASSGEN, "pybreaker": PYBREAKER}


def run(bench: Bench) -> Section:
    """Time calls that return and calls that raise, on a breaker that is closed."""
    with ExitStack() as stack:
        loop = stack.enter_context(event_loop())
        guards = {name: stack.enter_context(enter(bench.servers, loop)) for name, enter in GUARDS.items()}
        answered = take_turns([Contestant(name, guard.answered) for name, guard in guards.items()], bench.sizes)
        failed = take_turns([Contestant(name, guard.failed) for name, guard in guards.items()], bench.sizes)
    healthy = latency_table("A guarded call that answers", answered, BASES)
    failing = latency_table("A guarded call that fails", failed, BASES)
    return Section("Guarded calls", (healthy, failing), _targets(healthy))


def _targets(healthy: Table) -> tuple[Target, ...]:
    view, strict = healthy.number(VIEW, MEDIAN), healthy.number(STRICT, MEDIAN)
    massgen, pybreaker = healthy.number(MASSGEN, MEDIAN), healthy.number(PYBREAKER, MEDIAN)
    return (
        at_most("healthy guarded call with a view", view, 3, "µs"),
        at_most("healthy guarded call with a view, against MassGen with Redis", ratio(view, massgen), 0.01),
        at_most("healthy guarded call with a view, against pybreaker with Redis", ratio(view, pybreaker), 0.01),
        at_most("healthy guarded call, strict, against MassGen with Redis", ratio(strict, massgen), 0.7),
    )
