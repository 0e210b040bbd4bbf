from __future__ import annotations

import time

import pytest

from cbstore_sql import BreakerPolicy, Permit, State, Store

POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, probe_lease=30.0)


def test_failures_are_counted_and_open_the_circuit_at_the_threshold(store: Store) -> None:
    seen = [store.record_failure("b", POLICY, now=1000.0 + i) for i in range(3)]
    states = [(t.previous_state, t.snapshot.state, t.snapshot.failure_count) for t in seen if t]
    closed, opened = State.CLOSED, State.OPEN
    assert states == [(closed, closed, 1), (closed, closed, 2), (closed, opened, 3)]
    assert store.read("b").open_until == 1062.0


def test_a_success_in_between_restarts_the_count(store: Store) -> None:
    for _ in range(5):
        store.record_failure("b", POLICY, now=1000.0)
        store.record_failure("b", POLICY, now=1000.0)
        store.record_success("b", POLICY)
    assert store.read("b").state is State.CLOSED


def test_a_permit_from_before_a_state_change_has_no_effect(store: Store) -> None:
    permit = store.read("b").permit
    store.force_open("b", 10.0, now=1000.0)
    before = store.read("b", now=1001.0)
    assert store.record_failure(permit, POLICY, now=1001.0) is None
    store.reset("b")
    assert store.record_failure(permit, POLICY, now=1001.0) is None
    assert before.failure_count == store.read("b").failure_count == 0


def test_the_first_failure_of_a_new_breaker_with_a_permit_is_counted(store: Store) -> None:
    permit = store.read("b").permit
    assert store.record_failure(permit, POLICY, now=1000.0) is not None
    assert store.record_failure(permit, POLICY, now=1000.0) is not None
    assert store.read("b").failure_count == 2


def test_a_permit_with_an_unknown_generation_has_no_effect(store: Store) -> None:
    store.force_open("b", 0.0, now=1000.0)
    claim = store.claim_probe("b", POLICY, token="me", now=1000.0)
    assert claim is not None
    store.reset("b")
    assert store.record_failure(Permit("b", 99), POLICY) is None
    assert store.record_failure(Permit("elsewhere", 99), POLICY) is None
    assert store.read("elsewhere").failure_count == 0


def test_only_a_failure_of_the_probe_s_owner_opens_the_circuit_again(store: Store) -> None:
    store.force_open("b", 0.0, now=1000.0)
    first = store.claim_probe("b", POLICY, now=1000.0)
    second = store.claim_probe("b", POLICY, now=1030.0)
    assert first is not None
    assert second is not None
    assert store.record_failure(first.permit, POLICY, now=1031.0) is None
    failed = store.record_failure(second.permit, POLICY, now=1031.0)
    assert failed is not None
    assert (failed.previous_state, failed.snapshot.state) == (State.HALF_OPEN, State.OPEN)
    assert failed.snapshot.open_until == 1091.0
    assert failed.snapshot.probe_token == ""


def test_each_failed_probe_lengthens_the_open_time_up_to_the_cap(store: Store) -> None:
    policy = BreakerPolicy(
        failure_threshold=1,
        recovery_timeout=10.0,
        backoff_multiplier=3.0,
        max_recovery_timeout=50.0,
        recovery_jitter=0.1,
    )
    now, lengths = 1000.0, []
    store.record_failure("b", policy, now=now, rand=0.0)
    for _ in range(4):
        lengths.append(store.read("b").open_until - now)
        now = store.read("b").open_until
        claim = store.claim_probe("b", policy, now=now)
        assert claim is not None
        store.record_failure(claim.permit, policy, now=now, rand=1.0)
    assert lengths == pytest.approx([10.0, 33.0, 55.0, 55.0])


def test_an_unfenced_failure_prolongs_an_open_circuit_and_a_permit_does_not(store: Store) -> None:
    store.force_open("b", 10.0, now=1000.0)
    assert store.record_failure(store.read("b").permit, POLICY, now=1005.0) is None
    assert store.read("b").open_until == 1010.0
    store.record_failure("b", POLICY, now=1005.0)
    assert store.read("b").open_until == 1065.0


def test_several_failures_in_one_report_are_counted(store: Store) -> None:
    opened = store.record_failure("b", POLICY, failures=7, now=1000.0)
    assert opened is not None
    assert (opened.snapshot.state, opened.snapshot.failure_count) == (State.OPEN, 7)


def test_a_failure_without_now_uses_the_store_s_clock(store: Store) -> None:
    opened = store.record_failure("b", BreakerPolicy(failure_threshold=1, recovery_timeout=60.0))
    assert opened is not None
    assert abs(opened.snapshot.last_failure_time - time.time()) < 5.0
    assert opened.snapshot.open_until - opened.snapshot.last_failure_time == pytest.approx(60.0, abs=0.01)
