from __future__ import annotations

from cbstore_sql import BreakerPolicy, Permit, State, Store

POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, probe_lease=30.0)


def probe(store: Store, now: float = 1000.0) -> Permit:
    store.force_open("b", 0.0, now=now)
    claim = store.claim_probe("b", POLICY, now=now)
    assert claim is not None
    return claim.permit


def test_a_success_on_a_clean_breaker_returns_none(store: Store) -> None:
    assert store.record_success("b", POLICY) is None
    assert store.record_success(store.read("b").permit, POLICY) is None


def test_a_success_clears_the_count(store: Store) -> None:
    store.record_failure("b", POLICY, now=1000.0)
    cleaned = store.record_success(store.read("b").permit, POLICY)
    assert cleaned is not None
    assert (cleaned.snapshot.failure_count, cleaned.snapshot.last_failure_time, cleaned.changed) == (0, 1000.0, False)
    assert store.record_success("b", POLICY) is None


def test_a_success_does_not_close_an_open_circuit(store: Store) -> None:
    store.force_open("b", 10.0, now=1000.0)
    before = store.read("b", now=1.0)
    assert store.record_success("b", POLICY, now=2000.0) is None
    assert store.record_success(before.permit, POLICY, now=2000.0) is None
    assert store.read("b", now=1.0) == before


def test_only_a_success_of_the_probe_s_owner_closes_the_circuit(store: Store) -> None:
    bystander = store.read("b").permit
    owner = probe(store)
    assert store.record_success(bystander, POLICY) is None
    assert store.record_success(Permit("b", owner.generation), POLICY) is None
    assert store.record_success(Permit("b", owner.generation, "somebody"), POLICY) is None
    closed = store.record_success(owner, POLICY)
    assert closed is not None
    assert (closed.previous_state, closed.snapshot.state) == (State.HALF_OPEN, State.CLOSED)
    assert (closed.snapshot.failure_count, closed.snapshot.probe_token) == (0, "")
    assert store.record_success(owner, POLICY) is None


def test_an_owner_that_lost_its_lease_cannot_report(store: Store) -> None:
    first = probe(store, now=1000.0)
    second = store.claim_probe("b", POLICY, now=1030.0)
    assert second is not None
    assert store.record_success(first, POLICY) is None
    assert store.read("b").state is State.HALF_OPEN
    assert store.record_success(second.permit, POLICY) is not None


def test_an_owner_of_a_deleted_breaker_s_probe_cannot_report(store: Store) -> None:
    first = probe(store)
    store._delete("b")
    second = probe(store)
    assert first.generation == second.generation
    assert store.record_success(first, POLICY) is None
    assert store.record_success(second, POLICY) is not None


def test_success_threshold_probes_close_the_circuit(store: Store) -> None:
    policy = BreakerPolicy(success_threshold=3)
    permit = probe(store)
    for successes in (1, 2):
        nearer = store.record_success(permit, policy)
        assert nearer is not None
        assert (nearer.snapshot.state, nearer.snapshot.success_count) == (State.HALF_OPEN, successes)
        assert store.record_success(permit, policy) is None, "one probe counts once"
        claim = store.claim_probe("b", policy, now=1000.0)
        assert claim is not None
        permit = claim.permit
    closed = store.record_success(permit, policy)
    assert closed is not None
    assert (closed.snapshot.state, closed.snapshot.success_count) == (State.CLOSED, 0)


def test_a_success_with_expected_state_counts_only_in_that_state(store: Store) -> None:
    store.record_failure("b", POLICY, now=1.0)
    assert store.record_success("b", POLICY, expected_state="half_open") is None
    assert store.record_success("b", POLICY, expected_state="closed") is not None
