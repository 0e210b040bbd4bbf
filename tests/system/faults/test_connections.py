"""Tests with connections that break: before a statement, during it, and all at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, State, StoreUnavailableError
from tests.system.faults.postgres import Postgres
from tests.system.faults.proxy import FaultProxy
from tests.system.faults.table import Observed, fault
from tests.waiting import eventually

NEVER = BreakerPolicy(failure_threshold=10**6)
SESSIONS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
FEW = {"max_connections": 5, "superuser_reserved_connections": 0, "max_wal_senders": 0}


@fault(1, "the reply to every fifth failure is lost and the connection reset", "each failure is counted once")
def test_a_failure_whose_reply_was_lost_is_counted_once(
    server: Postgres, proxy: FaultProxy, store: SqlStore, observed: Observed
) -> None:
    store.record_failure("fragile", NEVER)  # Otherwise, the first lost reply would be that of the check for a row.
    unknown = 0
    for number in range(50):
        if number % 5 == 0:
            proxy.lose_reply_to(b"fragile")
        unknown += not is_known(lambda: store.record_failure("fragile", NEVER))
    counted = store.read("fragile").failure_count
    assert counted == 51
    observed(
        f"{unknown} of 10 lost replies were reported as unknown",
        calls=51,
        calls_lost=0,
        counts_lost=51 - counted,
        counts_doubled=max(0, counted - 51),
    )


@fault(1, "the reply to a claim is lost and the connection reset", "one owner, who knows it")
def test_a_claim_whose_reply_was_lost_can_be_repeated_only_with_the_same_token(
    server: Postgres, proxy: FaultProxy, store: SqlStore, observed: Observed
) -> None:
    store.force_open("fragile", 0.0)
    proxy.lose_reply_to(b"mine")
    known = is_known(lambda: store.claim_probe("fragile", token="mine"))
    claim = store.claim_probe("fragile", token="mine")
    assert claim is not None
    assert store.claim_probe("fragile", token="theirs") is None
    assert store.record_success(claim.permit) is not None
    assert store.read("fragile").state is State.CLOSED
    observed("known at once" if known else "reported as unknown; the repetition won", calls=2, calls_lost=0)


@fault(2, "pg_terminate_backend of every session between two operations", "no error reaches a caller")
def test_the_end_of_all_idle_sessions_causes_no_error(server: Postgres, store: SqlStore, observed: Observed) -> None:
    with ThreadPoolExecutor(5) as threads:

        def fail_often() -> None:
            list(threads.map(lambda _: store.record_failure("b", NEVER), range(50)))

        fail_often()
        ended = server.ask(f"SELECT count(pg_terminate_backend(pid)) {SESSIONS}")
        assert eventually(lambda: server.ask(f"SELECT count(*) {SESSIONS}") == 0)
        began = time.monotonic()
        store.record_failure("b", NEVER)
        recovered = time.monotonic() - began
        fail_often()
    counted = store.read("b").failure_count
    assert counted == 101
    observed(
        f"{ended} sessions ended, no error",
        recovered=recovered,
        calls=101,
        calls_lost=0,
        counts_lost=0,
        counts_doubled=0,
    )


@fault(13, "max_connections is used up by others", "a clear error, nothing applied; served when one is free")
def test_a_server_without_a_free_connection_is_unavailable_until_a_connection_is_free(
    server: Postgres, observed: Observed
) -> None:
    server.stop("fast")
    server.start(FEW)
    with SqlStore(server.url) as store:
        with contextlib.ExitStack() as others:
            for _ in range(5):
                others.enter_context(server.connect())
            for _ in range(3):
                with pytest.raises(StoreUnavailableError) as raised:
                    store.record_failure("b")
                assert raised.value.applied is False, "it was never sent"
        began = time.monotonic()
        assert eventually(lambda: answers(store))
        recovered = time.monotonic() - began
        store.record_failure("b")
        assert store.read("b").failure_count == 1
    observed(str(raised.value), recovered=recovered, calls=4, calls_lost=3, counts_lost=0, counts_doubled=0)


def answers(store: SqlStore) -> bool:
    try:
        store.read("b")
    except StoreUnavailableError:
        return False
    return True


def is_known(operation: Callable[[], object]) -> bool:
    """Run an operation, and return whether the store answered. Otherwise, the effect must be unknown."""
    try:
        operation()
    except StoreUnavailableError as error:
        if error.applied is not None:
            raise
        return False
    return True
