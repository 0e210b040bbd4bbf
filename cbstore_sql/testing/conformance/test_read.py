from __future__ import annotations

import time
import uuid
from contextlib import ExitStack

from cbstore_sql import BreakerPolicy, Snapshot, State, Store
from cbstore_sql.testing.conformance.backend import Backend


def test_a_breaker_never_written_reads_as_closed_and_clean(store: Store) -> None:
    assert store.read("b", now=1000.0) == Snapshot("b", State.CLOSED, 0, 0, 0, 0.0, 0.0, 0.0, "", 0.0, 1000.0)


def test_reading_does_not_create_a_breaker(store: Store) -> None:
    store.read("b")
    transition = store.reset("b", now=1.0)
    assert transition.snapshot.generation == 1


def test_a_read_returns_the_state_after_the_last_operation(store: Store) -> None:
    written = store.record_failure("b", BreakerPolicy(failure_threshold=1), now=1000.0)
    assert written is not None
    assert store.read("b", now=1000.0) == written.snapshot


def test_a_read_without_now_uses_the_store_s_clock(store: Store) -> None:
    before = time.time() - 1.0
    assert before < store.read("b").as_of < time.time() + 1.0


def test_breakers_with_different_names_are_separate(store: Store) -> None:
    for name in ("", "a", "A", "a ", "á", "a\u0301", "🔌", "a:b", "a%b", "a'b\"c", "x" * 512):
        store.record_failure(name, now=1.0)
        assert store.read(name).failure_count == 1, name


def test_breakers_in_different_namespaces_are_separate(backend: Backend) -> None:
    own, names = uuid.uuid4().hex, ("", "default", "a", "a:b", "ä", "%41")
    with ExitStack() as stack:
        stores = [stack.enter_context(backend.open(f"{namespace}{own}")) for namespace in names]
        for count, store in enumerate(stores, start=1):
            for _ in range(count):
                store.record_failure("b", now=1.0)
        assert [store.read("b").failure_count for store in stores] == [1, 2, 3, 4, 5, 6]
        assert [store.read_many(["b"])["b"].failure_count for store in stores] == [1, 2, 3, 4, 5, 6]


def test_retry_after_is_counted_from_the_store_s_clock(store: Store) -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0, probe_lease=30.0)
    store.record_failure("b", policy, now=1000.0)
    assert store.read("b", now=1010.0).retry_after == 50.0
    assert store.read("b", now=1070.0).retry_after == 0.0
    store.claim_probe("b", policy, now=1070.0)
    assert store.read("b", now=1080.0).retry_after == 20.0
    assert store.read("b", now=1100.0).retry_after == 0.0


def test_several_breakers_are_read_at_once(store: Store) -> None:
    for count, name in enumerate(("a", "b'\"{}", "🔌", "")):
        store.record_failure(name, failures=count + 1, now=1000.0)
    names = ["a", "🔌", "never written", "", "b'\"{}", "a"]
    many = store.read_many(names, now=1001.0)
    assert list(many) == ["a", "🔌", "never written", "", "b'\"{}"]
    assert many == {name: store.read(name, now=1001.0) for name in names}
    assert store.read_many(["never written", "nor this"], now=1.0)["nor this"].as_of == 1.0
    assert store.read_many([]) == {}
