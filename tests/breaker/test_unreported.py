"""Tests of the successes that wait for the next report."""

from __future__ import annotations

import threading

from cbstore_sql.breaker.unreported import UnreportedSuccesses


def with_times(*times: float) -> UnreportedSuccesses:
    pending = UnreportedSuccesses()
    for time in times:
        pending.add(time)
    return pending


def test_take_empties_the_list_and_returns_the_recent_successes() -> None:
    pending = with_times(1.0, 2.0, 3.0)
    assert pending.take(since=2.0) == [2.0, 3.0]
    assert len(pending) == 0
    assert pending.take(since=0.0) == []


def test_successes_put_back_come_before_newer_successes() -> None:
    pending = with_times(1.0, 2.0)
    taken = pending.take(since=0.0)
    pending.add(3.0)
    pending.put_back(taken)
    assert pending.take(since=0.0) == [1.0, 2.0, 3.0]


def test_old_successes_are_forgotten() -> None:
    pending = with_times(1.0, 2.0, 3.0)
    pending.drop_before(2.5)
    assert pending.take(since=0.0) == [3.0]


def test_the_number_of_kept_successes_is_bounded_and_the_latest_are_kept() -> None:
    pending = with_times(*map(float, range(10_000)))
    taken = pending.take(since=0.0)
    assert len(taken) < 5_000
    assert taken[-1] == 9_999.0


def test_each_success_is_in_one_of_several_racing_reports() -> None:
    pending, reports = UnreportedSuccesses(), []
    adding = threading.Event()

    def succeed() -> None:
        for number in range(20_000):
            pending.add(float(number))
        adding.set()

    def report() -> None:
        while not adding.is_set():
            reports.append(pending.take(since=0.0))

    threads = [threading.Thread(target=succeed), *(threading.Thread(target=report) for _ in range(3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reports.append(pending.take(since=0.0))
    times = [time for taken in reports for time in taken]
    assert len(times) == len(set(times))
