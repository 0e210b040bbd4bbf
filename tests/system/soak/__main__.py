"""``python -m tests.system.soak [--minutes 10] [--seed N]``: work, faults, a table; exits 1 on an error."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator

from tests.system.faults.postgres import cluster
from tests.system.soak.run import Verdict, soak
from tests.system.soak.usage import MEBIBYTE, halves

SEEDS = 1_000_000


def main() -> int:
    """Run one soak and print its result."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, help="repeat the faults of an earlier soak (default: new ones)")
    arguments = parser.parse_args()
    seed = random.randrange(SEEDS) if arguments.seed is None else arguments.seed
    say(f"seed {seed}: {arguments.minutes:g} minutes")
    with cluster() as servers:
        verdict = soak(servers, arguments.minutes * 60.0, seed)
    for line in table(verdict):
        say(line)
    say(f"{len(verdict.judge.wrongs)} violations; again with --seed {seed}")
    return 1 if verdict.judge.wrongs else 0


def table(verdict: Verdict) -> Iterator[str]:
    """Return the lines of the result."""
    judge = verdict.judge
    yield from (f"  fault  {fault:<34}{times:>10}" for fault, times in sorted(verdict.faults.items()))
    yield from (f"  stored {what:<34}{times:>10}" for what, times in judge.calls.items())
    yield f"  stored {'breakers not decided':<34}{judge.undecided:>10}"
    yield from (f"  calls  {ending:<34}{times:>10}" for ending, times in sorted(judge.guarded.items()))
    yield f"  calls  {'longest beyond its dependency, ms':<34}{judge.slowest * 1000:>10.0f}"
    yield f"  held   {'sessions on the server, most':<34}{max(verdict.backends, default=0):>10}"
    for worker, readings in judge.usage.items():
        before, after = halves(readings) or (readings[0], readings[-1])
        yield (
            f"  held   {worker:<14} threads {before.threads}>{after.threads}, tasks {before.tasks}>{after.tasks},"
            f" files {before.files}>{after.files}, MiB {before.memory / MEBIBYTE:.1f}>{after.memory / MEBIBYTE:.1f}"
        )
    yield from (f"WRONG: {wrong}" for wrong in judge.wrongs)


def say(line: str) -> None:
    """Write one line without buffering."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
