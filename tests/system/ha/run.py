"""One run: the workers at work, the changes of the primary, and what the reports must be like."""

from __future__ import annotations

import multiprocessing as mp
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

from cbstore_sql import SqlStore, migrate
from cbstore_sql.deadline import within
from tests.system.ha.patroni import Node, PatroniCluster
from tests.system.ha.workers import COUNTED, READY, STORE_TIMEOUT, Messages, Plan, Report, Seen, be, signal

PATIENCE = 120.0
"""Seconds after which something that should happen is given up."""

HEALTHY_SECONDS = 10.0
"""How long the workers work before the first change and after the last."""

POLL_SECONDS = 0.02

BOUND = 0.1
"""Seconds that an admission or a report may take beyond `STORE_TIMEOUT`, and beyond the time for which the machine let
threads wait for their turn."""

TURNS = 2
"""How often a call may wait for its turn: before the store is asked and after it has answered."""

OPEN_SECONDS = 3600.0


@dataclass
class Change:
    """One change of the primary.

    Attributes:
        title: What was done.
        gap: Seconds from the last write that the old primary accepted to the first that the new one accepted, by an
            observer with new connections to every node.
        accepted: The monotonic moment of that first write.
        rejoined: For each worker, seconds from that moment until it refused a call because another process had opened
            the circuit in the shared row.
    """

    title: str
    gap: float
    accepted: float
    rejoined: dict[str, float] = field(default_factory=dict)


@dataclass
class Verdict:
    """What came of a run.

    Attributes:
        changes: One for each change of the primary.
        reports: One for each worker.
        counted: The failures in the row of `COUNTED`.
        wrongs: What must not be, in words.
    """

    changes: list[Change]
    reports: list[Report]
    counted: int
    wrongs: list[str] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """The failures that the dependency handed out under `COUNTED`."""
        return sum(report.failures for report in self.reports)

    @property
    def unknown(self) -> int:
        """Those of them whose report got no answer, so that the row may have them or not."""
        return sum(report.unknown for report in self.reports)

    @property
    def lost(self) -> int:
        """Those whose report was answered or kept for later, and that the row does not have."""
        return max(0, self.failures - self.unknown - self.counted)


def plans(url: str, rate: float, changes: int) -> list[Plan]:
    """One worker for each kind of store, colour and push that exists."""
    kinds: list[tuple[str, bool, bool]] = [
        ("own", False, False),
        ("own", False, True),
        ("given", False, False),
        ("given", False, True),
        ("own", True, True),
        ("given", True, False),
    ]
    return [
        Plan(
            f"{'async' if awaited else 'sync'}, {connections} connections{', push' if push else ''}",
            url,
            "own" if connections == "own" else "given",
            awaited,
            push,
            rate / len(kinds),
            changes,
        )
        for connections, awaited, push in kinds
    ]


def run(
    cluster: PatroniCluster, rate: float, kinds: list[str], say: Callable[[str], object], *, verbose: bool
) -> Verdict:
    """Carry one run out.

    Args:
        cluster: A cluster that runs.
        rate: Guarded calls a second, of all workers together.
        kinds: The changes of the primary, in order: keys of `CHANGES`.
        say: Told how far it has come.
        verbose: Whether the workers write what they log.
    """
    migrate(cluster.url)
    changes: list[Change] = []
    planned = plans(cluster.url, rate, len(kinds))
    with _at_work(planned, verbose) as (stopped, messages):
        _await_all(READY, messages, len(planned))
        time.sleep(HEALTHY_SECONDS)
        for number, kind in enumerate(kinds):
            say(f"{kind} …")
            with _doing(cluster, kind) as old:
                change = _change(cluster, kind, old)
                _open(cluster, signal(number))
                refused = _await_all(signal(number), messages, len(planned))
                change.rejoined = {worker: moment - change.accepted for worker, moment in refused.items()}
            cluster.restore()
            changes.append(change)
        time.sleep(HEALTHY_SECONDS)
        stopped.set()
        reports = _reports(messages, len(planned))
    with SqlStore(cluster.url) as store:
        counted = store.read(COUNTED).failure_count
    verdict = Verdict(changes, reports, counted)
    verdict.wrongs += _judge(verdict, len(planned))
    if verdict.lost and cluster.synchronous:
        verdict.wrongs.append(f"{verdict.lost} failures were lost")
    return verdict


def _switchover(cluster: PatroniCluster, old: Node) -> None:
    cluster.switchover(old)


def _failover(cluster: PatroniCluster, old: Node) -> None:
    old.kill()


def _freeze(cluster: PatroniCluster, old: Node) -> None:
    old.freeze()


CHANGES: dict[str, Callable[[PatroniCluster, Node], None]] = {
    "switchover": _switchover,
    "failover": _failover,
    "freeze": _freeze,
}


@contextmanager
def _doing(cluster: PatroniCluster, kind: str) -> Iterator[Node]:
    """Change the primary while the block runs; give the primary of before."""
    old = cluster.primary()
    assert old is not None, cluster.logs()
    # `patronictl` returns later than the new primary accepts writes.
    with ThreadPoolExecutor(1) as thread:
        doing = thread.submit(CHANGES[kind], cluster, old)
        yield old
        doing.result()


def _change(cluster: PatroniCluster, kind: str, old: Node) -> Change:
    """Watch all nodes with new connections until another node than the old primary takes writes."""
    last = time.monotonic()
    deadline = last + PATIENCE
    others = [node for node in cluster.nodes if node is not old]
    while not any(node.accepts_writes() for node in others):
        assert time.monotonic() < deadline, cluster.logs()
        if old.accepts_writes():
            last = time.monotonic()
        time.sleep(POLL_SECONDS)
    accepted = time.monotonic()
    return Change(kind, accepted - last, accepted)


def _open(cluster: PatroniCluster, name: str) -> None:
    with SqlStore(cluster.url) as store, within(PATIENCE):
        store.force_open(name, OPEN_SECONDS)


def _await_all(what: str, messages: Messages, workers: int) -> dict[str, float]:
    """Wait until every worker has seen something; return the moments, by worker, of those that did."""
    seen: dict[str, float] = {}
    deadline = time.monotonic() + PATIENCE
    with suppress(queue.Empty):
        while len(seen) < workers:
            message = messages.get(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(message, Seen) and message.what == what:
                seen[message.worker] = message.moment
    return seen


@contextmanager
def _at_work(planned: list[Plan], verbose: bool) -> Iterator[tuple[Event, Messages]]:
    """Have the workers at work; none of them outlives the block."""
    context = mp.get_context("spawn")
    stopped, messages = context.Event(), context.Queue()
    workers = [
        context.Process(target=be, args=(plan, stopped, messages), kwargs={"verbose": verbose}) for plan in planned
    ]
    for worker in workers:
        worker.start()
    try:
        yield stopped, messages
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _reports(messages: Messages, workers: int) -> list[Report]:
    """What the workers report, as far as they do."""
    reports: list[Report] = []
    with suppress(queue.Empty):
        while len(reports) < workers:
            message = messages.get(timeout=PATIENCE)
            if isinstance(message, Report):
                reports.append(message)
    return reports


def _judge(verdict: Verdict, workers: int) -> Iterator[str]:
    """What must not be, in words."""
    if len(verdict.reports) < workers:
        yield f"{workers - len(verdict.reports)} workers hang or ended with an error"
    for report in verdict.reports:
        yield from report.wrongs
        if report.slowest > STORE_TIMEOUT + BOUND + TURNS * report.kept_waiting:
            yield f"{report.name}: a call took {report.slowest:.2f} s"
        if len(report.degraded) != len(report.recovered):
            yield f"{report.name}: {len(report.degraded)} outages began, {len(report.recovered)} ended"
    for change in verdict.changes:
        if len(change.rejoined) < workers:
            yield f"{change.title}: {workers - len(change.rejoined)} workers never used the shared row again"
        yield from (f"{change.title}: {name} refused too early" for name, at in change.rejoined.items() if at < 0.0)
    if verdict.counted > verdict.failures:
        yield f"{verdict.counted - verdict.failures} failures were counted twice"
