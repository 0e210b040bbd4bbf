from __future__ import annotations

from cbstore_sql import BreakerPolicy, Permit, State, Store

POLICY = BreakerPolicy(probe_lease=30.0, success_threshold=2)


def probe(store: Store) -> Permit:
    store.force_open("b", 0.0, now=1000.0)
    claim = store.claim_probe("b", POLICY, now=1000.0)
    assert claim is not None
    return claim.permit


def test_a_released_probe_can_be_claimed_at_once(store: Store) -> None:
    released = store.release_probe(probe(store))
    assert released is not None
    assert (released.snapshot.state, released.snapshot.probe_token) == (State.HALF_OPEN, "")
    assert store.claim_probe("b", POLICY, now=1000.0) is not None


def test_a_release_counts_as_neither_success_nor_failure(store: Store) -> None:
    permit = probe(store)
    before = store.read("b")
    released = store.release_probe(permit)
    assert released is not None
    assert (released.snapshot.failure_count, released.snapshot.open_until) == (before.failure_count, before.open_until)


def test_a_released_permit_has_no_further_effect(store: Store) -> None:
    permit = probe(store)
    store.release_probe(permit)
    assert store.release_probe(permit) is None
    assert store.renew_probe(permit, POLICY, now=1000.0) is None
    assert store.record_success(permit, POLICY) is None
    assert store.record_failure(permit, POLICY) is None


def test_only_the_owner_can_release_and_renew_a_probe(store: Store) -> None:
    owner = probe(store)
    for stranger in (Permit("b", owner.generation, "x"), Permit("b", owner.generation - 1, owner.token)):
        assert store.release_probe(stranger) is None
        assert store.renew_probe(stranger, POLICY, now=1010.0) is None
    assert store.read("b").probe_until == 1030.0


def test_a_renewed_lease_refuses_other_claims_for_longer(store: Store) -> None:
    owner = probe(store)
    renewed = store.renew_probe(owner, POLICY, now=1020.0)
    assert renewed is not None
    assert renewed.snapshot.probe_until == 1050.0
    assert store.claim_probe("b", POLICY, now=1049.0) is None
    assert store.record_success(owner, POLICY) is not None


def test_renewing_never_shortens_a_lease(store: Store) -> None:
    owner = probe(store)
    renewed = store.renew_probe(owner, BreakerPolicy(probe_lease=1.0), now=1001.0)
    assert renewed is not None
    assert renewed.snapshot.probe_until == 1030.0


def test_a_lease_that_was_taken_over_cannot_be_renewed(store: Store) -> None:
    first = probe(store)
    assert store.claim_probe("b", POLICY, now=1030.0) is not None
    assert store.renew_probe(first, POLICY, now=1031.0) is None


def test_release_and_renew_do_not_create_a_breaker(store: Store) -> None:
    ghost = Permit("ghost", 0, "token")
    assert store.release_probe(ghost) is None
    assert store.renew_probe(ghost, POLICY) is None
    assert store.read("ghost").generation == 0
