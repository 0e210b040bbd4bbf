"""``python -m tests.system.fleet [--simulate] [--real] [--runs N]``: when a fleet trips, against the targets.

The simulation runs the library's own controllers and views on a clock of its own. The real runs use real processes on
PostgreSQL. Each row says what is allowed, and ``MISSED`` where it was not kept; then the command exits with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cbstore_sql import BreakerPolicy, FailureRate, migrate
from tests.servers.choice import POSTGRES, choose
from tests.system.fleet.real import run_real
from tests.system.fleet.scenario import Outcome, Scenario, Summary, consistent_trips
from tests.system.fleet.simulated import simulate

ROW = BreakerPolicy(failure_threshold=5, recovery_timeout=0.1, probe_lease=5.0)
RATE = BreakerPolicy(trip=FailureRate(normal=0.05, broken=0.5), recovery_timeout=0.1, probe_lease=5.0)
HIGH = BreakerPolicy(trip=FailureRate(normal=0.1, broken=0.5), recovery_timeout=0.1, probe_lease=5.0)
CLIPPED = replace(HIGH, min_reporters=2)

Run = Callable[[Scenario, int], Outcome]


@dataclass(frozen=True)
class Target:
    """One row of the table.

    Attributes:
        title: The requirement, in words.
        scenario: The scenario of the runs.
        found: A function that describes the result.
        kept: A function that returns whether the result is allowed.
        real: The seconds for which real processes also run the scenario; 0 means not at all.
        runs: The number of simulated runs.
    """

    title: str
    scenario: Scenario
    found: Callable[[Summary], str]
    kept: Callable[[Summary], bool]
    real: float = 0.0
    runs: int = 3


def _trips(summary: Summary) -> str:
    return f"{summary.trips} trips in {summary.calls} calls"


def _no_more_than_consistent(failing: float) -> Target:
    processes, rate = (50, 10.0) if failing == 0.1 else (40, 5.0)

    def allowed(summary: Summary) -> float:
        return 1.2 * consistent_trips(failing, 5, summary.calls)

    return Target(
        f"false trips, in a row, {processes} x {rate:g}/s, {failing:.0%} failing",
        Scenario(processes, rate, failing, ROW, seconds=100.0),
        lambda summary: f"{_trips(summary)}; a consistent breaker {allowed(summary) / 1.2:.1f}",
        lambda summary: summary.trips <= max(1.0, allowed(summary)),
        real=30.0,
    )


def _detection(title: str, policy: BreakerPolicy, processes: int, rate: float, failing: float) -> Target:
    seconds, calls = (0.3, 60) if failing == 1.0 else (0.5, 80)
    scenario = Scenario(
        processes,
        rate,
        0.01,
        replace(policy, recovery_timeout=10.0),
        seconds=30.0,
        breaks_at=2.0,
        failing_then=failing,
    )
    return Target(
        f"{failing:.0%} failing, {title}, {processes} x {rate:g}/s",
        scenario,
        lambda summary: (
            f"open after {summary.opened_after:.2f} s, {summary.failed:.0f} failed (most {summary.most_failed}), "
            f"last call of others {summary.slowest_follower:.2f} s later"
        ),
        lambda summary: (
            summary.opened_after <= seconds
            and summary.failed <= calls
            and summary.slowest_follower <= scenario.max_staleness
        ),
        real=12.0,
        runs=20,
    )


def _poisoned(title: str, policy: BreakerPolicy, rate: float, most: float) -> Target:
    return Target(
        f"one of 50 fails at {rate:g}/s, {title}",
        Scenario(50, 10.0, 0.01, policy, seconds=60.0, poisoned_rate=rate),
        _trips,
        lambda summary: summary.trips <= most * len(summary.outcomes),
        real=20.0,
    )


def targets() -> Iterable[Target]:
    """Return the rows of the table."""
    yield _no_more_than_consistent(0.1)
    yield _no_more_than_consistent(0.2)
    yield Target(
        "false trips, FailureRate(0.05, 0.5), 50 x 10/s, 2 % failing",
        Scenario(50, 10.0, 0.02, RATE, seconds=1000.0),
        _trips,
        lambda summary: summary.trips == 0,
        runs=2,
    )
    for failing in (1.0, 0.6):
        for processes, rate in ((20, 5.0), (50, 20.0)):
            if failing == 1.0:
                yield _detection("in a row", ROW, processes, rate, failing)
            yield _detection("FailureRate(0.05, 0.5)", RATE, processes, rate, failing)
    yield _poisoned("FailureRate(0.1, 0.5)", HIGH, 100.0, 2.0)
    yield _poisoned("FailureRate(0.1, 0.5), min_reporters=2", CLIPPED, 100.0, 0.0)
    yield _poisoned("FailureRate(0.1, 0.5), min_reporters=2", CLIPPED, 1000.0, 0.0)
    for title, policy in (("in a row", ROW), ("FailureRate(0.05, 0.5)", RATE)):
        yield Target(
            f"writes for 1,000 calls, {title}, 10 x 10/s, 1 % failing",
            Scenario(10, 10.0, 0.01, policy, seconds=200.0),
            lambda summary: f"{summary.writes_per_1000:.0f} writes, {summary.refreshes_per_1000:.0f} refresh reads",
            lambda summary: summary.writes_per_1000 <= 50,
            real=30.0,
        )


def main() -> int:
    """Run the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.fleet", description=__doc__)
    parser.add_argument("--simulate", action="store_true", help="only the simulation")
    parser.add_argument("--real", action="store_true", help="only real processes")
    parser.add_argument("--runs", type=int, default=3, help="real runs of each row (default: 3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose title has this text")
    arguments = parser.parse_args()
    rows = [target for target in targets() if arguments.only in target.title]
    missed = 0
    if not arguments.real:
        missed += sum(not _told("simulated", target, target.runs, simulate) for target in rows)
    if not arguments.simulate:
        with choose({})[POSTGRES].start() as url:
            migrate(url)
            missed += sum(
                not _told("real", replace(target, scenario=_shorter(target)), arguments.runs, _on(url))
                for target in rows
                if target.real
            )
    return 1 if missed else 0


def _shorter(target: Target) -> Scenario:
    return replace(target.scenario, seconds=target.real)


def _on(url: str) -> Run:
    return lambda scenario, _: run_real(url, scenario)


def _told(how: str, target: Target, runs: int, run: Run) -> bool:
    summary = Summary([run(target.scenario, seed) for seed in range(runs)])
    kept = target.kept(summary)
    sys.stdout.write(f"{'ok' if kept else 'MISSED':<7}{how:<10} {target.title}: {target.found(summary)}\n")
    sys.stdout.flush()
    return kept


if __name__ == "__main__":
    sys.exit(main())
