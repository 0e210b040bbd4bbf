"""The rows that a process keeps during an outage, and how a snapshot becomes such a row."""

from __future__ import annotations

import pytest

from cbstore_sql import State
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.local_store import LocalStore, row_by_steady_clock
from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.core.policy import DEFAULT_POLICY
from tests.breaker.drivers import Clock

NOW = 1000.0
"""The steady clock when the store, whose clock says 5000, was asked."""

PROBING = Row("half_open", "open", 6, 3, 2, 4990.0, 4995.0, 60.0, "owner", 5020.0)


@pytest.fixture
def store(clock: Clock) -> LocalStore:
    """A store of rows that uses the lock of its breakers."""
    return LocalBreakers(lambda _: DEFAULT_POLICY, lambda _: None, reopen_on_no_verdict=False, clock=clock)._store


def converted(row: Row) -> Row:
    return row_by_steady_clock(Snapshot.of("b", row, 5000.0), NOW)


def test_times_are_converted_to_the_clock_of_the_process() -> None:
    row = converted(PROBING)
    assert (row.state, row.generation, row.failure_count, row.success_count) == ("half_open", 6, 3, 2)
    assert (row.last_failure_time, row.open_until) == (NOW - 10.0, NOW - 5.0)
    assert (row.probe_token, row.probe_until) == ("owner", NOW + 20.0)
    times = converted(Row(closed_at=4999.0, hold_until=5001.0, override="open", override_until=5002.0))
    assert (times.closed_at, times.hold_until, times.override_until) == (NOW - 1.0, NOW + 1.0, NOW + 2.0)


def test_a_time_before_the_clock_began_becomes_zero_and_zero_stays_zero() -> None:
    row = converted(Row(last_failure_time=1.0))
    assert (row.last_failure_time, row.open_until, row.probe_until) == (0.0, 0.0, 0.0)
    ahead = row_by_steady_clock(Snapshot.of("c", Row(), 5000.0), 6000.0)
    assert ahead.open_until == 0.0, "although the clock of the process is ahead"


def test_an_override_that_has_ended_does_not_begin_again() -> None:
    assert converted(Row(override="open", override_until=10.0)).override == ""
    assert converted(Row(override="open")).override == "open"


def test_a_breaker_in_use_is_not_replaced(store: LocalStore) -> None:
    store.adopt("b", Row(failure_count=1))
    store.adopt("b", Row(failure_count=2))
    assert store.has("b")
    assert store.read("b").failure_count == 1


def test_only_the_named_breakers_are_kept(store: LocalStore) -> None:
    for name in ("a", "b", "c"):
        store.adopt(name, Row())
    store.keep_only({"a", "b", "unknown"})
    store.drop("b")
    store.drop("b")
    assert [name for name in ("a", "b", "c", "unknown") if store.has(name)] == ["a"]


def test_every_probe_can_be_released(store: LocalStore) -> None:
    store.adopt("b", PROBING)
    store.adopt("c", Row(probe_until=3.0))
    store.free_probes()
    freed = store.read("b")
    assert (freed.state, freed.probe_token, freed.probe_until) == (State.HALF_OPEN, "", 0.0)
    assert store.read("c").probe_until == 3.0
