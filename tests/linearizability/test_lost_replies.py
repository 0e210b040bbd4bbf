"""What a store says about its own effect is true, also where several attempts went wrong in different ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cbstore_sql import BreakerPolicy, Permit, SqlStore, StoreUnavailableError
from tests.faults.postgres import Postgres
from tests.faults.proxy import FaultProxy

POLICY = BreakerPolicy(recovery_timeout=0.0)
NAME = "billing"
PROBE = Permit(NAME, 2, "owner")

SAFE: dict[str, Callable[[SqlStore], object]] = {
    "record_success": lambda store: store.record_success(PROBE, POLICY),
    "release_probe": lambda store: store.release_probe(PROBE),
    "renew_probe": lambda store: store.renew_probe(PROBE, POLICY, now=2000.0),
    "force_open": lambda store: store.force_open(NAME, 60.0),
    "reset": lambda store: store.reset(NAME),
}


@pytest.mark.parametrize("operation", SAFE.values(), ids=SAFE)
def test_what_was_applied_and_could_not_be_repeated_is_not_said_to_have_had_no_effect(
    operation: Callable[[SqlStore], object], server: Postgres, proxy: FaultProxy, store: SqlStore
) -> None:
    store.force_open(NAME, 0.0, now=1000.0)
    assert store.claim_probe(NAME, POLICY, token="owner", now=1000.0)
    before = store.read(NAME, now=0.0)
    # The one connection there is loses its reply, and there is no other.
    proxy.switch("refuse")
    proxy.lose_reply_to(NAME.encode())
    with pytest.raises(StoreUnavailableError) as raised:
        operation(store)
    with SqlStore(server.url) as straight:
        assert straight.read(NAME, now=0.0) != before, "it was applied"
    assert raised.value.applied is None
