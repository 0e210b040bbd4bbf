"""Tests of the replay of small logs, with results computed by hand."""

from __future__ import annotations

import pytest

from cbstore_sql import BreakerPolicy, FailureRate, Verdict
from cbstore_sql.replay.engine import replay, replay_alone
from cbstore_sql.replay.log import LoggedCall
from cbstore_sql.replay.outages import Outage, health_of
from tests.replay.logs import calls

S, F, N = Verdict.SUCCESS, Verdict.FAILURE, Verdict.NONE
POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=5.0)


def log(*verdicts: Verdict, every: float = 1.0, seconds: float = 0.0) -> list[LoggedCall]:
    return [LoggedCall(100.0 + index * every, verdict, seconds) for index, verdict in enumerate(verdicts)]


def test_the_replay_of_an_outage_counts_detected_refused_and_failed_calls() -> None:
    # The third failure, at 104, opens the circuit; 105 to 108 are refused; the probe at 109 closes it.
    made = log(S, S, F, F, F, F, F, S, S, S, S)
    result = replay(made, POLICY, [Outage(102.0, 106.0, 5, 5)])
    assert result.opened == 1
    assert result.false_alarms == 0
    assert result.detections == [(2.0, 3)]
    assert (result.refused_bad, result.refused_good, result.failed) == (2, 2, 3)
    assert result.calls_lost == 5


def test_a_failed_probe_keeps_the_circuit_open() -> None:
    made = log(F, F, F, *[F] * 10, *[S] * 10)
    result = replay(made, POLICY, [Outage(100.0, 112.0, 13, 13)])
    # Probes at 107 and 112 fail, the one at 117 closes.
    assert (result.opened, result.failed, result.refused_good) == (1, 5, 4)


def test_an_opening_outside_of_outages_is_a_false_alarm() -> None:
    result = replay(log(S, F, F, F, S, S), POLICY, [])
    assert (result.opened, result.false_alarms, result.missed) == (1, 1, 0)
    assert (result.refused_good, result.failed, result.calls_lost) == (2, 0, 2)


def test_an_outage_without_an_opening_is_missed() -> None:
    result = replay(log(F, F, S, S), POLICY, [Outage(100.0, 101.0, 2, 2)])
    assert (result.missed, result.detections) == (1, [(None, 2)])


def test_an_opening_that_a_late_report_causes_belongs_to_its_outage() -> None:
    made = log(S, F, F, F, every=0.1)
    assert replay(made, POLICY, [Outage(100.1, 100.2, 2, 2)]).false_alarms == 0


def test_a_call_is_admitted_when_it_begins_and_counted_when_it_ends() -> None:
    # Three calls hang for 10 s; ten others begin and end in between, and one begins after they failed.
    hanging = [LoggedCall(110.0 + index / 100, F, 10.0) for index in range(3)]
    between = [LoggedCall(101.0 + index * 0.5, S, 0.1) for index in range(10)]
    after = [LoggedCall(110.5, S, 0.1)]
    result = replay(sorted(hanging + between + after), POLICY, [])
    assert (result.opened, result.refused_good) == (1, 1)


def test_calls_without_a_verdict_do_not_count_and_release_the_probe() -> None:
    made = log(F, F, N, F, N, N, N, N, N, S)
    result = replay(made, POLICY, [])
    # Open from 103 to 108; the probe at 108 has no verdict, so the call at 109 is the next one.
    assert (result.opened, result.refused_good, result.refused_bad) == (1, 0, 0)


def test_slow_calls_count_as_failures() -> None:
    slow = log(S, S, S, S, every=10.0, seconds=3.0)
    assert replay(slow, POLICY, []).opened == 0
    assert replay(slow, BreakerPolicy(failure_threshold=3, slow_after=2.0), []).opened == 1


def test_the_ramp_refuses_calls_after_the_probe() -> None:
    made = log(F, F, F, *[S] * 30)
    ramped = BreakerPolicy(failure_threshold=3, recovery_timeout=5.0, ramp_up=10.0)
    assert replay(made, ramped, []).refused_good > replay(made, POLICY, []).refused_good


def test_a_failure_rate_detects_a_partial_outage_that_a_count_in_a_row_misses() -> None:
    made = calls((1000, 0.01), (400, 0.5), (1000, 0.01))
    outages = health_of(made).outages
    rate = BreakerPolicy(trip=FailureRate(normal=0.05, broken=0.5), recovery_timeout=5.0)
    assert replay(made, BreakerPolicy(failure_threshold=20, recovery_timeout=5.0), outages).missed == 1
    assert replay(made, rate, outages).missed == 0


def test_processes_without_shared_state_detect_an_outage_later_and_lose_more_calls() -> None:
    made = calls((800, 0.0), (800, 1.0), (800, 0.0), processes=40)
    outages = health_of(made).outages
    policy = BreakerPolicy(failure_threshold=5, recovery_timeout=30.0)
    shared, alone = replay(made, policy, outages), replay_alone(made, policy, outages)
    assert shared.detections[0].failed_calls == 5
    assert alone.detections[0].failed_calls == 40 * 5
    together, apart = shared.detections[0].seconds, alone.detections[0].seconds
    assert together is not None
    assert apart is not None
    assert together == pytest.approx(0.4)
    assert apart == pytest.approx(19.9)
