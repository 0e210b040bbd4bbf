"""Tests of finding outages in a log."""

from __future__ import annotations

import pytest

from cbstore_sql import Verdict
from cbstore_sql.replay.log import LoggedCall
from cbstore_sql.replay.outages import health_of
from tests.replay.logs import calls


@pytest.mark.parametrize("failing", [0.0, 0.02, 0.1])
def test_a_healthy_log_has_no_outage(failing: float) -> None:
    health = health_of(calls((20_000, failing)))
    assert health.outages == []
    assert health.failure_rate == pytest.approx(failing, abs=0.01)
    assert failing <= health.worst_rate < failing + 0.1


@pytest.mark.parametrize("failing_then", [1.0, 0.6])
def test_an_outage_is_found_with_its_beginning_and_end(failing_then: float) -> None:
    log = calls((3000, 0.01), (300, failing_then), (3000, 0.01))
    (outage,) = health_of(log).outages
    assert outage.began == pytest.approx(1300.0, abs=1.0)
    assert outage.ended == pytest.approx(1330.0, abs=1.0)
    assert outage.calls == pytest.approx(300, abs=10)
    assert outage.failures == pytest.approx(300 * failing_then, abs=30)


def test_two_outages_are_found_separately() -> None:
    assert len(health_of(calls((500, 0.01), (30, 1.0), (500, 0.01), (30, 1.0), (500, 0.01))).outages) == 2


@pytest.mark.parametrize(("failures", "found"), [(2, 0), (8, 1)])
def test_a_few_failures_in_a_row_are_an_outage_and_two_are_not(failures: int, found: int) -> None:
    assert len(health_of(calls((500, 0.0), (failures, 1.0), (500, 0.0))).outages) == found


def test_a_log_may_begin_and_end_in_an_outage() -> None:
    outages = health_of(calls((50, 1.0), (500, 0.0), (50, 1.0))).outages
    assert [(outage.calls, outage.failures) for outage in outages] == [(50, 50), (50, 50)]


def test_slow_calls_count_as_failed_with_slow_after() -> None:
    log = [*calls((500, 0.0)), *calls((50, 0.0), seconds=9.0)]
    log = [call._replace(ended=1000.0 + number) for number, call in enumerate(log)]
    assert health_of(log).outages == []
    assert [outage.calls for outage in health_of(log, slow_after=2.0).outages] == [50]


def test_calls_without_a_verdict_are_ignored() -> None:
    health = health_of([LoggedCall(1.0, Verdict.NONE, 0.1)] * 50)
    assert health == ([], 0.0, 0.0)
