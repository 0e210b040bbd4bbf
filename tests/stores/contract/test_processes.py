"""Many processes at once on one breaker, each with connections of its own."""

from __future__ import annotations

import multiprocessing as mp
import uuid
from collections import Counter
from multiprocessing.synchronize import Barrier
from typing import Any

from cbstore_sql import BreakerPolicy
from tests.stores.contract.backends import Backend, open_store

PROCESSES = 6
ROUNDS = 30
POLICY = BreakerPolicy(failure_threshold=PROCESSES // 2, recovery_timeout=60.0, probe_lease=30.0)


def race(name: str, url: str, namespace: str, barrier: Barrier, results: mp.Queue[Any]) -> None:
    """Per round: every process fails once, then every process claims the probe of the circuit that opened."""
    outcome = Counter[str]()
    try:
        with open_store(name, url, namespace) as store:
            for round_ in range(ROUNDS):
                barrier.wait()
                failed = store.record_failure(f"b{round_}", POLICY, now=1000.0)
                outcome[f"opened {round_}"] += failed is not None and failed.changed
                barrier.wait()
                outcome[f"won {round_}"] += store.claim_probe(f"b{round_}", POLICY, now=1060.0) is not None
    finally:
        barrier.abort()
        results.put(outcome)


def test_processes_share_one_breaker(shared_backend: Backend) -> None:
    context = mp.get_context("forkserver")
    # What takes long to import is imported once, in the process that the others are forked from.
    context.set_forkserver_preload([open_store.__module__])
    namespace = uuid.uuid4().hex
    barrier, results = context.Barrier(PROCESSES, timeout=60.0), context.Queue()
    arguments = (shared_backend.name, shared_backend.url, namespace, barrier, results)
    workers = [context.Process(target=race, args=arguments) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    outcome = sum((results.get(timeout=120.0) for _ in workers), Counter[str]())
    for worker in workers:
        worker.join()
    with shared_backend.open(namespace) as store:
        for round_ in range(ROUNDS):
            assert outcome[f"opened {round_}"] == 1, "exactly one process saw the circuit open"
            assert outcome[f"won {round_}"] == 1, "exactly one process won the probe"
            assert store.read(f"b{round_}").failure_count == PROCESSES, "no failure was lost"
