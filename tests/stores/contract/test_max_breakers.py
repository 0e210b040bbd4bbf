"""A namespace has a limit of breakers. A new breaker beyond the limit is refused, and existing breakers work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, ConfigurationError, Permit, State, TooManyBreakersError
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.backends import ASYNC, Backend, open_async_store, open_store

POLICY = BreakerPolicy(failure_threshold=2)
BOUND = 3
THREADS = 8

ADDING: list[Callable[[ProtocolStore, str], Any]] = [
    lambda store, name: store.record_failure(name),
    lambda store, name: store.record_failure(Permit(name, 0)),
    lambda store, name: store.force_open(name, 1.0),
    lambda store, name: store.reset(name),
    lambda store, name: store.set_state(name, {"state": "open"}),
    lambda store, name: store.cas_state(name, "closed", {"state": "open"}),
    lambda store, name: store.increment_failure(name),
    lambda store, name: store.atomic_record_failure(name, 5, 60.0),
]


@pytest.fixture
def full(backend: Backend) -> Iterator[ProtocolStore]:
    """A store whose namespace has as many breakers as the limit allows."""
    with backend.open(max_breakers=BOUND) as store:
        for number in range(BOUND):
            store.record_failure(f"b{number}", POLICY, now=1000.0)
        yield store


def test_a_breaker_beyond_the_limit_is_refused_and_not_written(full: ProtocolStore) -> None:
    for add in ADDING:
        with pytest.raises(TooManyBreakersError) as raised:
            add(full, "another")
        assert (raised.value.namespace, raised.value.max_breakers) == (full.namespace, BOUND)
        assert full.read("another").generation == 0
        assert full.read("another").failure_count == 0


def test_existing_breakers_work_in_a_full_namespace(full: ProtocolStore) -> None:
    opened = full.record_failure("b0", POLICY, now=1000.0)
    assert opened
    assert opened.snapshot.state is State.OPEN
    claim = full.claim_probe("b0", POLICY, now=2000.0)
    assert claim
    assert full.record_success(claim.permit, POLICY)
    full.force_open("b1", 10.0)
    full.reset("b1")
    assert full.record_failure(Permit("b1", 0), POLICY) is None
    assert full.increment_failure("b2") == 2


def test_operations_that_add_no_breaker_work_in_a_full_namespace(full: ProtocolStore) -> None:
    assert full.read("another").state is State.CLOSED
    assert full.claim_probe("another", POLICY) is None
    assert full.record_success("another", POLICY) is None
    assert full.record_failure(Permit("another", 7), POLICY) is None
    assert full.cas_state("another", "open", {}) is False
    full.clear("another")


def test_a_deleted_breaker_makes_room_for_another(full: ProtocolStore) -> None:
    full.clear("b1")
    full.record_failure("another", POLICY)
    with pytest.raises(TooManyBreakersError):
        full.record_failure("b1", POLICY)


def test_each_namespace_has_a_separate_limit(backend: Backend, full: ProtocolStore) -> None:
    with backend.open(max_breakers=1) as other:
        other.record_failure("another", POLICY)


def test_without_a_limit_any_number_of_breakers_can_be_added(backend: Backend) -> None:
    with backend.open(max_breakers=None) as store:
        for number in range(BOUND + 1):
            store.record_failure(f"b{number}", POLICY)


def test_each_of_many_simultaneous_additions_is_refused_or_counted(backend: Backend) -> None:
    with backend.open(max_breakers=THREADS) as store:

        def add(number: int) -> bool:
            try:
                return store.record_failure(f"b{number}", POLICY) is not None
            except TooManyBreakersError:
                return False

        with ThreadPoolExecutor(THREADS) as pool:
            added = list(pool.map(add, range(2 * THREADS)))
        assert added == [store.read(f"b{number}").failure_count == 1 for number in range(2 * THREADS)]
        # Each simultaneous writer can exceed the limit by at most one breaker.
        assert sum(added) < 2 * THREADS
        with pytest.raises(TooManyBreakersError):
            store.record_failure("another", POLICY)


def test_all_simultaneous_failures_of_the_same_new_breaker_are_counted(backend: Backend) -> None:
    with backend.open(max_breakers=1) as store:
        with ThreadPoolExecutor(THREADS) as pool:
            for report in [pool.submit(store.increment_failure, "b") for _ in range(2 * THREADS)]:
                report.result()
        assert store.read("b").failure_count == 2 * THREADS


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "10", 10**9 + 1], ids=repr)
def test_an_invalid_limit_is_refused(backend: Backend, bound: Any) -> None:
    awaited = backend.name.startswith(ASYNC)
    open_one = open_async_store if awaited else open_store
    with pytest.raises(ConfigurationError, match="max_breakers"):
        open_one(backend.name.removeprefix(ASYNC), backend.url, "n", max_breakers=bound)
