"""Runs the scenarios with real processes on PostgreSQL and the real clock."""

from __future__ import annotations

import multiprocessing as mp
import random
import time
import uuid
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from typing import Any

import psycopg

from cbstore_sql import CircuitBreaker, CircuitBreakerOpenError, SqlStore, State
from cbstore_sql.events import BreakerEvent, Opened, StoreDegraded, ViewRefreshed
from tests.system.fleet.scenario import Member, Outcome, Scenario
from tests.system.fleet.simulated import NAME

# Importing the library fifty times would take longer than a run; no connection is open when the processes fork.
_context = mp.get_context("fork")

_START_TIMEOUT = 120.0
_AFTER_TRIP = 1.0


class DependencyFailed(Exception):
    """The error of a failing call."""


@dataclass
class Seen:
    """The observations of one process. Times are seconds since the start."""

    calls: int = 0
    refused: int = 0
    trips: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    admitted: list[float] = field(default_factory=list)
    refreshes: int = 0
    outages: int = 0


class _Process:
    """One process of the fleet, as an object inside this process."""

    def __init__(self, url: str, namespace: str, scenario: Scenario, member: Member) -> None:
        self._scenario = scenario
        self._member = member
        self._seen = Seen()
        self._rng = random.Random()
        self._store = SqlStore(url, namespace=namespace)
        self._breaker = CircuitBreaker(
            self._store,
            scenario.policy,
            max_staleness=scenario.max_staleness,
            listeners=[self._hear],
            store_timeout=5.0,
        )
        self._began = 0.0

    def run(self, start: Barrier, results: Any) -> None:
        self._breaker.call(NAME, lambda: None)
        start.wait(_START_TIMEOUT)
        self._began = time.monotonic()
        due = self._rng.expovariate(self._member.rate)
        while due < self._scenario.seconds and not self._ended():
            if (pause := self._began + due - time.monotonic()) > 0:
                time.sleep(pause)
            self._call()
            # A process that is late does not catch up with a burst of calls.
            due = max(due, self._after() - 0.05) + self._rng.expovariate(self._member.rate)
        self._breaker.close()
        self._store.close()
        results.put(self._seen)

    def _call(self) -> None:
        admitted: list[float] = []

        def dependency() -> None:
            admitted.append(self._after())
            if self._member.poisoned or self._scenario.fails(self._rng, admitted[0]):
                raise DependencyFailed

        try:
            self._breaker.call(NAME, dependency)
        except CircuitBreakerOpenError:
            self._seen.refused += 1
            return
        except DependencyFailed:
            self._seen.failed.append(admitted[0])
        self._seen.calls += 1
        self._seen.admitted.append(admitted[0])

    def _hear(self, event: BreakerEvent) -> None:
        if isinstance(event, Opened) and event.previous_state is State.CLOSED:
            self._seen.trips.append(self._after())
        self._seen.refreshes += isinstance(event, ViewRefreshed)
        self._seen.outages += isinstance(event, StoreDegraded)

    def _ended(self) -> bool:
        """Return whether the run is over for this process, some time after the break and the first refused call."""
        breaks_at = self._scenario.breaks_at
        return breaks_at is not None and self._seen.refused > 0 and self._after() > breaks_at + _AFTER_TRIP

    def _after(self) -> float:
        return time.monotonic() - self._began


def run_real(url: str, scenario: Scenario) -> Outcome:
    """Run a scenario once in new processes.

    Args:
        url: A migrated PostgreSQL.
        scenario: What to run. Its policy should keep the circuit open for a while after a break.
    """
    members = list(scenario.members())
    namespace, start, results = uuid.uuid4().hex, _context.Barrier(len(members)), _context.Queue()
    writes_before = updates(url)

    def run(member: Member) -> None:
        _Process(url, namespace, scenario, member).run(start, results)

    processes = [_context.Process(target=run, args=(member,)) for member in members]
    for process in processes:
        process.start()
    seen = [results.get(timeout=scenario.seconds + 2 * _START_TIMEOUT) for _ in processes]
    for process in processes:
        process.join()
    return _outcome(scenario, seen, updates(url)[0] - writes_before[0])


def updates(url: str) -> tuple[int, int]:
    """Return the number of updates of the breaker table so far, and how many of them were HOT updates."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        row = connection.execute(
            "SELECT n_tup_upd + n_tup_ins, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'breakers'"
        ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def _outcome(scenario: Scenario, seen: list[Seen], writes: int) -> Outcome:
    trips = sorted(moment for process in seen for moment in process.trips)
    outcome = Outcome(
        calls=sum(process.calls for process in seen),
        refused=sum(process.refused for process in seen),
        trips=len(trips),
        writes=writes,
        refreshes=sum(process.refreshes for process in seen),
    )
    breaks_at = scenario.breaks_at
    tripped = None if breaks_at is None else next((moment for moment in trips if moment >= breaks_at), None)
    if breaks_at is not None and tripped is not None:
        outcome.opened_after = tripped - breaks_at
        outcome.failed_after_break = sum(
            breaks_at <= moment <= tripped for process in seen for moment in process.failed
        )
        outcome.followed_after = [max(0.0, max(process.admitted, default=0.0) - tripped) for process in seen]
    return outcome
