"""Tests of the policy that is recommended after a replay."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy
from cbstore_sql.replay import advice
from cbstore_sql.replay.log import LoggedCall
from cbstore_sql.replay.outages import Health, health_of
from tests.replay.logs import calls

BASE = BreakerPolicy(recovery_timeout=5.0)


def recommended(log: list[LoggedCall]) -> str:
    health = health_of(log)
    normal = advice.normal_for(health)
    return advice.best(advice.compare(log, advice.candidates(BASE, normal), health), normal).label


@pytest.mark.parametrize(
    ("rate", "worst", "normal"), [(0.0, 0.0, 0.01), (0.004, 0.03, 0.05), (0.04, 0.05, 0.1), (0.5, 0.5, 0.3)]
)
def test_normal_is_above_the_worst_healthy_failure_rate(rate: float, worst: float, normal: float) -> None:
    assert advice.normal_for(Health([], rate, worst)) == normal


def test_the_advice_for_a_log_without_an_outage_fits_its_failure_rate() -> None:
    assert recommended(calls((5000, 0.01))) == "trip=FailureRate(normal=0.05, broken=0.5)"


def test_the_advice_for_a_partial_outage_is_a_failure_rate() -> None:
    label = recommended(calls((3000, 0.02), (600, 0.55), (3000, 0.02), (600, 0.55), (3000, 0.02)))
    assert label.startswith("trip=FailureRate")


def test_the_advice_for_a_flaky_dependency_is_not_a_low_threshold() -> None:
    assert recommended(calls((10_000, 0.15))) not in ("failure_threshold=3", "failure_threshold=5")


def test_every_candidate_keeps_the_times_of_the_base() -> None:
    policies = advice.candidates(BreakerPolicy(recovery_timeout=7.0, slow_after=2.0, ramp_up=3.0), 0.15)
    assert {(policy.recovery_timeout, policy.slow_after, policy.ramp_up) for policy in policies.values()} == {
        (7.0, 2.0, 3.0)
    }
    assert "trip=FailureRate(normal=0.15, broken=0.5)" in policies
