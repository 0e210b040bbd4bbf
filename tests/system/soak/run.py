"""Runs one soak from the start of its server to its result."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

import psycopg

from cbstore_sql import SqlStore, StoreError
from cbstore_sql.deadline import within
from tests.system.faults.postgres import Cluster, Postgres
from tests.system.faults.proxy import FaultProxy
from tests.system.linearizability.history import Call
from tests.system.linearizability.recorder import record
from tests.system.soak.faults import APPLICATION, SETTINGS, Faults, Scene
from tests.system.soak.judging import Judge
from tests.system.soak.plan import ROUND_SECONDS, Report, Soak
from tests.system.soak.workers import AwaitingWorker, BareWorker, GuardedWorker, Worker, be
from tests.waiting import eventually

KINDS: tuple[type[Worker], ...] = (BareWorker, BareWorker, GuardedWorker, AwaitingWorker)
PATIENCE = 60.0
"""Seconds without any report after which the workers hang."""

ENDING_SECONDS = 5.0


@dataclass(frozen=True)
class Verdict:
    """The result of a soak."""

    judge: Judge
    faults: Counter[str]
    backends: list[int]


def soak(cluster: Cluster, seconds: float, seed: int) -> Verdict:
    """Run one soak on a new server."""
    with cluster.server() as server:
        server.stop("fast")
        server.start(SETTINGS)
        with FaultProxy(server.url) as proxy:
            return _soak(Scene(server, proxy), seconds, seed)


def _soak(scene: Scene, seconds: float, seed: int) -> Verdict:
    judge = Judge(len(KINDS), lambda names: _ending(scene.server, names))
    backends: list[int] = []
    with _at_work(scene.proxy.url(scene.server.url)) as (workers, plans, reports):
        for _ in workers:
            reports.get(timeout=PATIENCE)
        plan = Soak(seconds, seed, begins=time.monotonic())
        for _ in workers:
            plans.put(plan)
        with Faults(scene, seed) as faults:
            for report in _reports(workers, reports, (plan.rounds + 1) * len(workers), judge):
                judge.take(report)
                backends += _backends(scene.server)
        for worker in workers:
            worker.join(PATIENCE)
            if worker.exitcode != 0:
                judge.wrongs.append(f"{worker.name} ended with {worker.exitcode}")
    judge.conclude()
    if faults.error is not None:
        judge.wrongs.append(f"the faults came to an end: {faults.error!r}")
    if not eventually(lambda: _backends(scene.server) == [0], patience=ENDING_SECONDS):
        judge.wrongs.append(f"{_backends(scene.server)} sessions are left when the workers have ended")
    return Verdict(judge, faults.made, backends)


@contextmanager
def _at_work(url: str) -> Iterator[tuple[list[BaseProcess], mp.Queue[Soak], mp.Queue[Any]]]:
    """Start the workers, which receive a plan and send reports, and end all of them at the end of the block."""
    context = mp.get_context("spawn")
    plans: mp.Queue[Soak] = context.Queue()
    reports: mp.Queue[Any] = context.Queue()
    named = f"{url}?application_name={APPLICATION}"
    workers: list[BaseProcess] = [
        context.Process(target=be, args=(kind, named, number, plans, reports), name=f"{kind.kind} {number}")
        for number, kind in enumerate(KINDS)
    ]
    for worker in workers:
        worker.start()
    try:
        yield workers, plans, reports
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _reports(workers: list[BaseProcess], reports: mp.Queue[Any], count: int, judge: Judge) -> Iterator[Report]:
    for _ in range(count):
        try:
            yield reports.get(timeout=ROUND_SECONDS + PATIENCE)
        except queue.Empty:
            judge.wrongs.append("the workers hang; standard error tells where")
            for worker in workers:
                if worker.pid is not None and worker.is_alive():
                    os.kill(worker.pid, signal.SIGUSR1)
            return


def _ending(server: Postgres, names: Iterable[str]) -> list[Call]:
    """Read the breakers directly from the server. Breakers without an answer are left out."""
    calls: list[Call] = []
    for namespace in ("bare", "guarded"):
        with SqlStore(server.url, namespace=namespace) as store:
            record(store, -1, calls.append)
            wanted = [name for name in names if ("guarded" in name) == (namespace == "guarded")]
            with within(ENDING_SECONDS), suppress(StoreError):
                store.read_many(wanted)
    return calls


def _backends(server: Postgres) -> list[int]:
    """Return the number of the workers' sessions, if the server answers."""
    counting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    with suppress(psycopg.Error), psycopg.connect(server.conninfo, connect_timeout=2, autocommit=True) as session:
        counted = session.execute(counting, [APPLICATION]).fetchone()
        return [counted[0]] if counted else []
    return []
