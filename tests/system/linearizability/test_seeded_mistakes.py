"""Both checks find each deliberate mistake of a store, with a fixed order of steps that shows the mistake.

A row lock, a barrier or a lost reply fixes the order of the steps.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from unittest.mock import patch

import psycopg
import pytest

from cbstore_sql import BreakerPolicy, InMemoryStore, SqlStore
from cbstore_sql.core.rules import OPERATIONS, Operation
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.stores.base import Store
from tests.system.faults.proxy import FaultProxy
from tests.system.linearizability.checker import check
from tests.system.linearizability.generations import check_order
from tests.system.linearizability.history import Call
from tests.system.linearizability.recorder import record
from tests.system.linearizability.seeded import (
    ClaimingThroughSubselect,
    ReadingThenWriting,
    RepeatingBlindly,
    claim_ignoring_leases,
)
from tests.system.linearizability.workload import SECONDS_PER_OPERATION, Driver
from tests.waiting import eventually

POLICY = BreakerPolicy(failure_threshold=5, recovery_timeout=1.0, probe_lease=10.0)
NAME = "billing"


def recorded(store: Store) -> list[Call]:
    calls: list[Call] = []
    record(store, 0, calls.append)
    return calls


def found(calls: list[Call]) -> tuple[bool, bool]:
    """Return whether the search finds a mistake, and whether the order of generations shows one."""
    return bool(check(calls)), bool(check_order(calls))


@pytest.mark.parametrize(("kind", "wrong"), [(SqlStore, False), (ClaimingThroughSubselect, True)])
def test_the_checks_find_a_state_read_through_a_subselect(
    kind: type[SqlStore], wrong: bool, migrated_postgres_url: str
) -> None:
    with kind(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        calls = recorded(store)
        store.force_open(NAME, 0.0, now=1000.0)
        behind_a_lock(migrated_postgres_url, [partial(store.claim_probe, NAME, POLICY, now=1000.0)] * 2)
        store.read(NAME, now=1000.0)
    assert found(calls) == (wrong, wrong)


def behind_a_lock(url: str, asks: list[Callable[[], object]]) -> None:
    """Call all functions while the row is locked, and unlock the row when all of them wait for it."""
    conninfo = url.replace("+psycopg", "")
    with psycopg.connect(conninfo, autocommit=True) as watcher, ThreadPoolExecutor(len(asks)) as pool:
        with psycopg.connect(conninfo) as holder:
            holder.execute("SELECT 1 FROM cbstore.breakers WHERE name = %s FOR UPDATE", [NAME])
            answers = [pool.submit(ask) for ask in asks]
            assert eventually(lambda: waiting_for(watcher, holder.info.backend_pid) == len(asks))
        for answer in answers:
            answer.result()


def waiting_for(watcher: psycopg.Connection[tuple[int]], pid: int) -> int:
    """Return how many sessions of this database wait for a lock."""
    counted = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        " AND pid <> %s",
        [pid],
    ).fetchone()
    return counted[0] if counted else 0


@pytest.mark.parametrize(("kind", "wrong"), [(SqlStore, False), (RepeatingBlindly, True)])
def test_the_checks_find_a_count_repeated_after_a_lost_reply(
    kind: type[SqlStore], wrong: bool, migrated_postgres_url: str
) -> None:
    with (
        FaultProxy(migrated_postgres_url) as proxy,
        kind(proxy.url(migrated_postgres_url), namespace=uuid.uuid4().hex) as store,
    ):
        calls = recorded(store)
        store.record_failure(NAME, POLICY, now=1000.0)
        proxy.lose_reply_to(NAME.encode())
        with suppress(StoreUnavailableError):
            store.record_failure(NAME, POLICY, now=1000.0)
        store.read(NAME, now=1000.0)
    assert [call.answered for call in calls] == [True, wrong, True]
    assert found(calls) == (wrong, wrong)


@pytest.mark.parametrize("wrong", [False, True])
def test_the_checks_find_a_lost_update(wrong: bool) -> None:
    store = ReadingThenWriting(threading.Barrier(2).wait) if wrong else InMemoryStore()
    calls = recorded(store)
    at_once = [threading.Thread(target=store.record_failure, args=(NAME, POLICY)) for _ in range(2)]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    assert found(calls) == (wrong, wrong)


@pytest.mark.parametrize("wrong", [False, True])
def test_the_checks_find_an_ignored_lease_in_random_work(wrong: bool) -> None:
    rule = claim_ignoring_leases if wrong else OPERATIONS["claim_probe"].rule
    operation = Operation(rule, OPERATIONS["claim_probe"].parameters)
    store = InMemoryStore()
    calls = recorded(store)
    driver = Driver(store, random.Random(5), partial(next, count(1000.0, SECONDS_PER_OPERATION)))
    with patch.dict(OPERATIONS, claim_probe=operation):
        for _ in range(3000):
            driver.act(NAME)
    assert found(calls) == (wrong, wrong)
