"""``python -m tests.system.ha [--rate 500] [--changes switchover,failover] [--asynchronous]``: the primary changes.

Three PostgreSQL servers with Patroni and an etcd run in a temporary directory, on loopback ports of their own, as a
user that is not root. Six processes make guarded calls over a URL that names all three servers: with connections of the
store's own and with an engine of the application, with threads and in an event loop, with push and without. Then the
primary changes: by ``patronictl switchover``, by ``kill -9`` of the primary's server and Patroni, and by ``kill -STOP``
of both, after which the frozen server still lets clients connect and never answers.

The run ends with a table, and with 1 if a call was lost or waited too long, if a driver's error reached a caller, if a
failure was counted twice, or if one is missing in the row although its report was answered or was kept for later. (With
``--asynchronous``, the last of these is told and not judged: the new primary lacks what the old one had not sent.)

It needs Debian's packages: ``RUNLEVEL=1 apt-get install --no-install-recommends patroni etcd-server postgresql``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from math import inf

from tests.system.ha.patroni import MissingError, patroni_cluster
from tests.system.ha.run import CHANGES, Verdict, run
from tests.system.ha.workers import WARM_UP


def main() -> int:
    """Carry one run out and tell what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.ha", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=500.0, help="guarded calls a second in all (default: 500)")
    parser.add_argument("--changes", default=",".join(CHANGES), help="in order (default: each once)")
    parser.add_argument("--asynchronous", action="store_true", help="no commit waits for a standby")
    parser.add_argument("--verbose", action="store_true", help="write what the workers log")
    arguments = parser.parse_args()
    kinds = arguments.changes.split(",")
    if unknown := set(kinds) - set(CHANGES):
        parser.error(f"--changes knows {', '.join(CHANGES)}, not {', '.join(sorted(unknown))}")
    try:
        with patroni_cluster(synchronous=not arguments.asynchronous) as cluster:
            verdict = run(cluster, arguments.rate, kinds, say, verbose=arguments.verbose)
    except MissingError as error:
        say(str(error))
        return 2
    for line in table(verdict):
        say(line)
    return 1 if verdict.wrongs else 0


def table(verdict: Verdict) -> Iterator[str]:
    """What came of it, line by line."""
    reports = sorted(verdict.reports, key=lambda report: report.name)
    for change in verdict.changes:
        yield f"{change.title}: no primary for {change.gap:.1f} s; seconds until …"
        yield f"  {'':<32}{'the row is shared':>20}{'push listens':>20}"
        for report in reports:
            listening = [moment - change.accepted for moment in report.listening if moment > change.accepted]
            yield (
                f"  {report.name:<32}{change.rejoined.get(report.name, inf):>20.2f}"
                f"{f'{listening[0]:.2f}' if listening else '':>20}"
            )
    rate = sum((report.calls - WARM_UP) / report.seconds for report in reports)
    yield f"{sum(report.calls for report in reports)} calls, {rate:.0f} a second"
    for report in reports:
        yield (
            f"  {report.name}: slowest admission or report {report.slowest * 1000:.0f} ms "
            f"(a thread waited {report.kept_waiting * 1000:.0f} ms for its turn, the loop "
            f"{report.loop_stood * 1000:.0f} ms), refused "
            f"{sum(report.refused.values())} calls, {report.failures} failures, {report.unknown} without an answer"
        )
        for began, ended in zip(report.degraded, report.recovered, strict=False):
            yield f"    outage of {ended - began:.1f} s{_place(began, verdict)}"
    yield (
        f"{verdict.failures} failures, {verdict.counted} in the row, {verdict.unknown} reports without an answer, "
        f"{verdict.lost} lost"
    )
    yield from (f"WRONG: {wrong}" for wrong in verdict.wrongs)


def _place(moment: float, verdict: Verdict) -> str:
    """Say how long after (or before, if negative) a new primary accepted writes a moment was."""
    change = min(verdict.changes, key=lambda change: abs(change.accepted - moment))
    return f", from {moment - change.accepted:+.1f} s of the {change.title} on"


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
