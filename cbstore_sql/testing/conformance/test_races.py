"""Tests with many threads that use one breaker at once. The result must be that of some order of the calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cbstore_sql import BreakerPolicy, State, Store

THREADS = 12
ROUNDS = 15
POLICY = BreakerPolicy(failure_threshold=THREADS // 2, recovery_timeout=60.0, probe_lease=30.0)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run each function in a separate thread, all at the same moment, and return the results in the same order."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_exactly_one_of_several_racing_claims_wins(store: Store) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        store.force_open(name, 0.0, now=1000.0)
        claims = at_once(*[partial(store.claim_probe, name, POLICY, now=1000.0)] * THREADS)
        won = [claim for claim in claims if claim]
        assert len(won) == 1
        assert store.read(name).permit == won[0].permit


def test_exactly_one_of_several_racing_takeovers_wins(store: Store) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        store.force_open(name, 0.0, now=1000.0)
        store.claim_probe(name, POLICY, now=1000.0)
        claims = at_once(*[partial(store.claim_probe, name, POLICY, now=1030.0)] * THREADS)
        assert sum(claim is not None for claim in claims) == 1


def test_racing_failures_are_all_counted_and_one_caller_sees_the_circuit_open(store: Store) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        seen = at_once(*[partial(store.record_failure, name, POLICY, now=1000.0)] * THREADS)
        assert [t.changed for t in seen].count(True) == 1
        assert sorted(t.snapshot.failure_count for t in seen) == list(range(1, THREADS + 1))
        assert store.read(name).failure_count == THREADS


def test_racing_first_failures_with_permits_are_all_counted(store: Store) -> None:
    policy = BreakerPolicy(failure_threshold=THREADS * 2)
    for round_ in range(ROUNDS):
        permit = store.read(f"b{round_}").permit
        at_once(*[partial(store.record_failure, permit, policy, now=1000.0)] * THREADS)
        assert store.read(permit.name).failure_count == THREADS


def test_a_probe_is_settled_once(store: Store) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        store.force_open(name, 0.0, now=1000.0)
        claim = store.claim_probe(name, POLICY, now=1000.0)
        assert claim is not None
        half = THREADS // 2
        outcomes = at_once(
            *[partial(store.record_success, claim.permit, POLICY, now=1001.0)] * half,
            *[partial(store.record_failure, claim.permit, POLICY, now=1001.0)] * half,
        )
        settled = [outcome for outcome in outcomes if outcome]
        assert len(settled) == 1
        assert store.read(name).state is settled[0].snapshot.state


def test_an_owner_and_its_successor_never_both_settle(store: Store) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        store.force_open(name, 0.0, now=1000.0)
        claim = store.claim_probe(name, POLICY, now=1000.0)
        assert claim is not None
        settled, successor = at_once(
            partial(store.record_success, claim.permit, POLICY, now=1030.0),
            partial(store.claim_probe, name, POLICY, now=1030.0),
        )
        assert (settled is None) != (successor is None)


def test_a_forced_open_is_never_lost_nor_shortened(store: Store) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        at_once(
            *[partial(store.force_open, name, float(s), now=1000.0) for s in range(THREADS)],
            partial(store.record_success, name, POLICY),
            partial(store.record_failure, name, POLICY, now=900.0),
        )
        after = store.read(name)
        assert (after.state, after.open_until) == (State.OPEN, 1000.0 + THREADS - 1)
