from __future__ import annotations

import time

from cbstore_sql import BreakerPolicy, Snapshot, State, Store

POLICY = BreakerPolicy(probe_lease=30.0)


def test_force_open_opens_a_new_breaker(store: Store) -> None:
    forced = store.force_open("b", 30.0, now=1000.0)
    assert (forced.previous_state, forced.snapshot.state) == (State.CLOSED, State.OPEN)
    assert store.read("b", now=1000.0) == forced.snapshot
    assert forced.snapshot.open_until == 1030.0


def test_force_open_never_shortens_the_open_time(store: Store) -> None:
    store.force_open("b", 600.0, now=1000.0)
    again = store.force_open("b", 5.0, now=1001.0)
    assert (again.snapshot.open_until, again.changed) == (1600.0, False)
    assert store.force_open("b", 600.0, now=1001.0).snapshot.open_until == 1601.0


def test_force_open_ends_the_current_probe(store: Store) -> None:
    store.force_open("b", 0.0, now=1000.0)
    claim = store.claim_probe("b", POLICY, now=1000.0)
    assert claim is not None
    store.force_open("b", 60.0, now=1001.0)
    assert store.record_success(claim.permit, POLICY) is None
    assert store.claim_probe("b", POLICY, now=1060.0) is None
    assert store.claim_probe("b", POLICY, now=1061.0) is not None


def test_force_open_uses_the_store_s_clock(store: Store) -> None:
    assert abs(store.force_open("b", 60.0).snapshot.open_until - (time.time() + 60.0)) < 5.0


def test_reset_leaves_a_clean_closed_breaker(store: Store) -> None:
    store.record_failure("b", BreakerPolicy(failure_threshold=1), now=1000.0)
    store.claim_probe("b", POLICY, now=5000.0)
    done = store.reset("b", now=6000.0)
    generation = done.snapshot.generation
    assert done.previous_state is State.HALF_OPEN
    assert done.snapshot == Snapshot("b", State.CLOSED, generation, 0, 0, 0.0, 0.0, 0.0, "", 0.0, 6000.0)
    assert store.read("b", now=6000.0) == done.snapshot


def test_reset_makes_earlier_permits_invalid_also_for_a_new_breaker(store: Store) -> None:
    permit = store.read("b").permit
    store.reset("b")
    assert store.record_failure(permit, POLICY) is None
    assert store.read("b").failure_count == 0
