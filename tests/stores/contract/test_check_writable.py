"""Tests of check_writable: a write that changes no breaker."""

from __future__ import annotations

from cbstore_sql import BreakerPolicy, Store
from cbstore_sql.stores.backend import NOBODYS_PROBE


def test_check_writable_succeeds_and_changes_no_breaker(store: Store) -> None:
    store.check_writable()
    assert store.read(NOBODYS_PROBE.name, now=1000.0).generation == 0
    store.record_failure("b", now=1000.0)
    before = store.read("b", now=1001.0)
    store.check_writable()
    assert store.read("b", now=1001.0) == before


def test_check_writable_does_not_change_a_breaker_with_the_reserved_name(store: Store) -> None:
    store.force_open(NOBODYS_PROBE.name, 0.0, now=1000.0)
    claim = store.claim_probe(NOBODYS_PROBE.name, BreakerPolicy(), now=1001.0)
    assert claim is not None
    store.check_writable()
    assert store.read(NOBODYS_PROBE.name, now=1001.0) == claim.snapshot
