"""Tests with several processes that share one breaker, each with its own connections. Some processes are killed."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from cbstore_sql import BreakerPolicy, Permit, State
from cbstore_sql.testing.conformance.backend import Backend

PROCESSES = 6
ROUNDS = 30
POLICY = BreakerPolicy(failure_threshold=PROCESSES // 2, recovery_timeout=60.0, probe_lease=30.0)

# The server process, from which the processes fork, imports only this library.
CONTEXT = mp.get_context("forkserver")


def race(backend: Backend, namespace: str, barrier: Barrier, results: mp.Queue[Any]) -> None:
    """Report a failure and then claim the probe, once in each round, and put what this process saw into ``results``.

    All processes do each step at the same moment. In each round, they use another breaker.
    """
    outcome = Counter[str]()
    try:
        with backend.open(namespace) as store:
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
    CONTEXT.set_forkserver_preload([__name__])
    namespace = uuid.uuid4().hex
    barrier, results = CONTEXT.Barrier(PROCESSES, timeout=60.0), CONTEXT.Queue()
    arguments = (shared_backend, namespace, barrier, results)
    workers = [CONTEXT.Process(target=race, args=arguments) for _ in range(PROCESSES)]
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


def claim_and_wait(backend: Backend, namespace: str, parent: Connection) -> None:
    """Claim the probe, send the permit to the parent, and wait until the parent kills this process."""
    store = backend.open(namespace)
    claim = store.claim_probe("b", POLICY, now=1060.0)
    parent.send(None if claim is None else tuple(claim.permit))
    parent.recv()


def count_for_ever(backend: Backend, namespace: str, parent: Connection) -> None:
    """Report failures one after the other, and send each count to the parent after the store has confirmed it."""
    store = backend.open(namespace)
    while True:
        counted = store.record_failure("b", BreakerPolicy(failure_threshold=10**6), now=1000.0)
        parent.send(counted.snapshot.failure_count if counted is not None else None)


@contextmanager
def child(
    work: Callable[..., None], backend: Backend, namespace: str
) -> Iterator[tuple[Connection, Callable[[], None]]]:
    """Start a child process that runs ``work``, and kill the child at the end of the ``with`` block.

    Yields:
        The pipe to the child, and a function that kills the child with SIGKILL and waits until it has ended.
    """
    own, other = CONTEXT.Pipe()
    process = CONTEXT.Process(target=work, args=(backend, namespace, other), daemon=True)
    process.start()
    other.close()

    def kill() -> None:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()

    try:
        yield own, kill
    finally:
        if process.is_alive():
            kill()
        own.close()


def test_the_probe_of_a_killed_process_is_free_after_its_lease(shared_backend: Backend) -> None:
    namespace = uuid.uuid4().hex
    with shared_backend.open(namespace) as store:
        store.force_open("b", 60.0, now=1000.0)
        with child(claim_and_wait, shared_backend, namespace) as (told, kill):
            assert told.poll(60.0)
            dead = Permit(*told.recv())
            kill()
        assert store.claim_probe("b", POLICY, now=1089.0) is None, "the lease outlives its owner"
        successor = store.claim_probe("b", POLICY, now=1090.0)
        assert successor is not None, "the lease ran out"
        assert store.record_success(dead, POLICY, now=1091.0) is None, "the dead owner's permit is fenced off"
        closed = store.record_success(successor.permit, POLICY, now=1091.0)
        assert closed is not None
        assert closed.snapshot.state is State.CLOSED


def test_a_killed_process_loses_no_confirmed_failure(shared_backend: Backend) -> None:
    namespace = uuid.uuid4().hex
    with child(count_for_ever, shared_backend, namespace) as (told, kill):
        confirmed = 0
        while confirmed < 50:
            assert told.poll(60.0)
            confirmed = told.recv()
        kill()
        try:
            while told.poll(0.0):
                confirmed = told.recv()
        except EOFError:
            pass
    with shared_backend.open(namespace) as store:
        found = store.read("b").failure_count
        assert found in (confirmed, confirmed + 1), "only the failure under way may be counted without a confirmation"
        assert store.record_failure("b", now=1000.0) is not None, "the store works after the kill"
