"""Tests of which calls of one process a ramp admits."""

from __future__ import annotations

import os
import random

import pytest

from cbstore_sql.breaker.ramp_gate import RampGate
from cbstore_sql.core.admission import ramp_share
from cbstore_sql.core.model import Row, Snapshot

CLOSED_AT = 1000.0
RAMP_UP = 30.0


def closed(name: str = "b", at: float = CLOSED_AT) -> Snapshot:
    return Snapshot.of(name, Row(closed_at=at, generation=3), as_of=at)


def refusal(gate: RampGate, after: float = 0.0, name: str = "b") -> float | None:
    """Ask for the admission of one call some seconds after the circuit closed."""
    return gate.refusal(closed(name), RAMP_UP, CLOSED_AT + after)


def admitted(gate: RampGate, moments: list[float]) -> int:
    return sum(refusal(gate, after) is None for after in moments)


@pytest.mark.parametrize("start", [0.0, 0.37, 0.999])
@pytest.mark.parametrize("seed", range(5))
def test_a_process_admits_its_share_within_one_call(start: float, seed: int) -> None:
    rng = random.Random(seed)
    moments = sorted(rng.uniform(0.0, 30.0) for _ in range(500))
    gate, due = RampGate(lambda: start), 0.0
    count = 0
    for now in moments:
        due += ramp_share(closed(), RAMP_UP, CLOSED_AT + now)
        count += refusal(gate, now) is None
        assert abs(count - due) <= 1.0


def test_a_fleet_of_processes_with_few_calls_admits_its_share_too() -> None:
    rng = random.Random(7)
    fleet = [RampGate(rng.random) for _ in range(2000)]
    assert sum(admitted(gate, [0.0]) for gate in fleet) == pytest.approx(200, abs=45)


def test_every_call_is_admitted_after_the_end_of_the_ramp() -> None:
    assert admitted(RampGate(lambda: 0.0), [30.0, 30.0, 45.0]) == 3


def test_a_new_ramp_starts_from_the_beginning() -> None:
    starts = iter([0.95, 0.5, 0.95, 0.5])
    gate = RampGate(lambda: next(starts))
    assert refusal(gate) is None
    later = closed(at=2000.0)
    assert gate.refusal(later, RAMP_UP) is not None  # starts at 0.5 and adds a tenth


def test_each_breaker_has_a_separate_ramp() -> None:
    gate = RampGate(lambda: 0.85)
    assert refusal(gate, name="a") is not None
    assert refusal(gate) is not None
    assert refusal(gate, name="a") is None


def test_the_waits_of_refused_callers_are_spread_over_the_rest_of_the_ramp() -> None:
    draws = iter([0.0, 0.25, 0.75])
    gate = RampGate(lambda: next(draws))
    assert refusal(gate, 10.0) == pytest.approx(5.0)
    assert refusal(gate, 10.0) == pytest.approx(15.0)


def test_a_forked_child_starts_its_ramp_at_a_new_random_point() -> None:
    draws = [0.85]
    gate = RampGate(lambda: draws[-1])
    refusal(gate)  # 0.95 of a call
    draws.append(0.0)
    child = os.fork()
    if child == 0:
        refused = False
        try:
            refused = refusal(gate) is not None
        finally:
            os._exit(0 if refused else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert refusal(gate) is None
