from __future__ import annotations

from functools import partial

from cbstore_sql.stores.dict_protocol import ProtocolStore
from cbstore_sql.testing.conformance.test_races import *  # noqa: F403 - the suite for every store, run over ours
from cbstore_sql.testing.conformance.test_races import ROUNDS, THREADS, at_once


def test_exactly_one_of_several_racing_cas_state_calls_succeeds(store: ProtocolStore) -> None:
    for round_ in range(ROUNDS):
        name = f"b{round_}"
        done = at_once(*[partial(store.cas_state, name, "closed", {"state": "open"})] * THREADS)
        assert done.count(True) == 1


def test_racing_increments_are_all_counted(store: ProtocolStore) -> None:
    counts = at_once(*[lambda: store.increment_failure("b")] * THREADS)
    assert sorted(counts) == list(range(1, THREADS + 1))
