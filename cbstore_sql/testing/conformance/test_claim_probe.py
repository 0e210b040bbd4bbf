from __future__ import annotations

import time

from cbstore_sql import BreakerPolicy, Permit, State, Store

POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0, probe_lease=30.0)


def opened(store: Store) -> None:
    store.record_failure("b", POLICY, now=1000.0)


def test_a_closed_circuit_has_no_probe(store: Store) -> None:
    assert store.claim_probe("b", POLICY, now=5000.0) is None
    store.record_failure("b", now=5000.0)
    assert store.claim_probe("b", POLICY, now=5000.0) is None


def test_an_open_circuit_admits_one_probe_after_its_open_time(store: Store) -> None:
    opened(store)
    assert store.claim_probe("b", POLICY, now=1059.999) is None
    claim = store.claim_probe("b", POLICY, token="me", now=1060.0)
    assert claim is not None
    assert (claim.previous_state, claim.snapshot.state, claim.changed) == (State.OPEN, State.HALF_OPEN, True)
    assert claim.permit == Permit("b", claim.snapshot.generation, "me")
    assert claim.snapshot.probe_until == 1090.0
    assert store.claim_probe("b", POLICY, now=1061.0) is None


def test_a_lost_claim_changes_nothing(store: Store) -> None:
    opened(store)
    store.claim_probe("b", POLICY, now=1060.0)
    before = store.read("b", now=1061.0)
    store.claim_probe("b", POLICY, now=1061.0)
    assert store.read("b", now=1061.0) == before


def test_an_expired_lease_can_be_taken_over(store: Store) -> None:
    opened(store)
    first = store.claim_probe("b", POLICY, now=1060.0)
    assert store.claim_probe("b", POLICY, now=1089.999) is None
    second = store.claim_probe("b", POLICY, now=1090.0)
    assert first is not None
    assert second is not None
    assert (second.previous_state, second.changed) == (State.HALF_OPEN, False)
    assert second.permit.generation > first.permit.generation
    assert second.permit.token != first.permit.token


def test_a_repeated_claim_with_the_same_token_returns_the_same_permit(store: Store) -> None:
    opened(store)
    first = store.claim_probe("b", POLICY, token="me", now=1060.0)
    again = store.claim_probe("b", POLICY, token="me", now=1070.0)
    assert first is not None
    assert again is not None
    assert again.permit == first.permit
    assert again.snapshot.probe_until == first.snapshot.probe_until


def test_each_claim_without_a_token_makes_a_new_token(store: Store) -> None:
    tokens = set()
    for round_ in range(3):
        store.reset("b")
        store.force_open("b", 0.0, now=1000.0 + round_)
        claim = store.claim_probe("b", POLICY, now=1000.0 + round_)
        assert claim is not None
        tokens.add(claim.permit.token)
    assert len(tokens) == 3


def test_a_claim_without_now_uses_the_store_s_clock(store: Store) -> None:
    store.force_open("b", 0.0)
    claim = store.claim_probe("b", POLICY)
    assert claim is not None
    assert abs(claim.snapshot.probe_until - (time.time() + 30.0)) < 5.0
    assert store.claim_probe("b", POLICY) is None
