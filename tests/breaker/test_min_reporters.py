"""Fewer processes than ``min_reporters`` never open the circuit."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, InMemoryStore, State
from tests.breaker.drivers import Clock
from tests.system.fleet.simulated import NAME, CountingStore, SimulatedProcess

RATE = FailureRate(normal=0.1, broken=0.5)


def fleet(clock: Clock, reporters: int, size: int, max_staleness: float = 0.25) -> list[SimulatedProcess]:
    store, policy = CountingStore(clock), BreakerPolicy(trip=RATE, min_reporters=reporters)
    return [SimulatedProcess(store, policy, clock, max_staleness=max_staleness) for _ in range(size)]


def state(process: SimulatedProcess) -> State:
    return process._store.read(NAME).state


@pytest.mark.parametrize("max_staleness", [0.0, 0.25])
@pytest.mark.parametrize("reporters", [2, 3, 5])
def test_fewer_processes_than_min_reporters_never_trip_the_breaker(
    clock: Clock, reporters: int, max_staleness: float
) -> None:
    processes = fleet(clock, reporters, reporters, max_staleness)
    for round_ in range(200):
        clock.advance(0.05)
        for process in processes[:-1]:
            process.fail()
            if round_ % 4 == 0:
                process.refresh()
    assert state(processes[0]) is State.CLOSED
    for _ in range(RATE.failures_to_trip):
        if state(processes[0]) is State.CLOSED:
            processes[-1].fail()
    assert state(processes[0]) is State.OPEN, "one more process is enough"


def test_without_min_reporters_a_single_process_trips_the_breaker(clock: Clock) -> None:
    (process,) = fleet(clock, 1, 1)
    for _ in range(RATE.failures_to_trip):
        process.fail()
    assert state(process) is State.OPEN


def test_min_reporters_of_two_never_trips_a_breaker_in_memory(clock: Clock) -> None:
    store, policy = InMemoryStore(clock=clock), BreakerPolicy(trip=RATE, min_reporters=2)
    process = SimulatedProcess(store, policy, clock, max_staleness=0.0)
    for _ in range(100):
        process.fail()
    assert state(process) is State.CLOSED


def test_with_min_reporters_every_failure_is_counted_in_a_row(clock: Clock) -> None:
    (process,) = fleet(clock, 2, 1)
    for _ in range(40):
        process.fail()
    assert process._store.read(NAME).failure_count == 40


def test_a_recovered_process_may_report_again(clock: Clock) -> None:
    first, second = fleet(clock, 2, 2)
    for _ in range(20):
        first.fail()
    for _ in range(60):
        clock.advance(0.05)
        for process in (first, second):
            process.succeed()
            process.refresh()
    assert first._store.read(NAME).score == 0.0
    clock.advance(1.0)  # With this, the reports contain no successes.
    for _ in range(6):
        first.fail()
    for _ in range(5):
        second.fail()
    assert state(first) is State.OPEN


def test_a_failed_probe_of_a_single_process_opens_the_circuit(clock: Clock) -> None:
    (process,) = fleet(clock, 2, 1)
    process._store.force_open(NAME, 0.0)
    process.fail()
    assert state(process) is State.OPEN
