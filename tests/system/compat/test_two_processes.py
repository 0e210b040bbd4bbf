"""Two processes, each with the published breaker over one PostgreSQL: one circuit, one probe."""

from __future__ import annotations

import multiprocessing
import time
import uuid
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any

from cbstore_sql import SqlStore
from tests.system.compat.published import Published, load

ROUNDS = 25
PROCESSES = 2
PATIENCE = 60.0
"""Seconds after which a process that does not come is given up."""


def breaker_of(published: Published, store: SqlStore, number: int) -> Any:
    config = published.breaker.LLMCircuitBreakerConfig(enabled=True, max_failures=2, reset_time_seconds=60)
    return published.breaker.LLMCircuitBreaker(config, backend_name=f"round {number}", store=store)


def play(url: str, namespace: str, barrier: Barrier, answers: Queue[Any]) -> None:
    """Run one process: report a failure for each circuit, then claim each probe when the other process does."""
    published = load()
    with SqlStore(url, namespace=namespace) as store:
        breakers = [breaker_of(published, store, number) for number in range(ROUNDS)]
        for breaker in breakers:
            breaker.record_failure()
        while_open = [ask(breaker, barrier) for breaker in breakers]
        barrier.wait(PATIENCE)
        for breaker in breakers:
            store.cas_state(breaker.backend_name, "open", {"open_until": time.time() - 1})
        elapsed = [ask(breaker, barrier) for breaker in breakers]
    answers.put((while_open, elapsed))


def ask(breaker: Any, barrier: Barrier) -> str:
    barrier.wait(PATIENCE)
    return "refused" if breaker.should_block() else "admitted"


def test_two_processes_count_on_one_circuit_and_one_of_them_gets_the_probe(
    migrated_postgres_url: str, published: Published
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers, namespace = context.Barrier(PROCESSES), context.Queue(), uuid.uuid4().hex
    processes = [
        context.Process(target=play, args=(migrated_postgres_url, namespace, barrier, answers), daemon=True)
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    while_open, elapsed = zip(*(answers.get(timeout=PATIENCE) for _ in processes), strict=True)
    for process in processes:
        process.join(PATIENCE)
    assert list(while_open) == [["refused"] * ROUNDS] * PROCESSES
    assert [sorted(pair) for pair in zip(*elapsed, strict=True)] == [["admitted", "refused"]] * ROUNDS
    with SqlStore(migrated_postgres_url, namespace=namespace) as store:
        breakers = [breaker_of(published, store, number) for number in range(ROUNDS)]
        assert {(breaker.state.value, breaker.failure_count) for breaker in breakers} == {("half_open", PROCESSES)}
