"""Tests of the local changes of one breaker that must be reported to the store after an outage."""

from __future__ import annotations

import pytest

from cbstore_sql.breaker.outage.changes import ChangeLog, LocalChanges


def logged(*calls: bool) -> ChangeLog:
    log = ChangeLog()
    for succeeded in calls:
        if succeeded:
            log.add_successes(1)
        else:
            log.failures += 1
    return log


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (LocalChanges("b", successes=7), [(7, 0)]),
        (LocalChanges("b", successes=7, failures=1), [(7, 1)]),
        (LocalChanges("b", successes=7, failures=5), [(7, 1), (0, 4)]),
    ],
)
def test_the_first_report_contains_one_failure_and_the_successes_before_it(
    changes: LocalChanges, parts: list[tuple[int, int]]
) -> None:
    assert [(part.successes, part.failures) for part in changes.parts()] == parts


def test_a_success_clears_the_failures_before_it() -> None:
    log = logged(False, False, True, False)
    assert (log.successes, log.failures) == (1, 1)


@pytest.mark.parametrize(
    ("since", "counts"), [((), (2, 3)), ((False,), (2, 4)), ((True,), (3, 0)), ((True, False), (3, 1))]
)
def test_restored_changes_come_before_newer_changes(since: tuple[bool, ...], counts: tuple[int, int]) -> None:
    log = logged(*since)
    log.restore(LocalChanges("b", successes=2, failures=3), 1000.0, may_be_counted=False)
    assert (log.successes, log.failures) == counts


def test_restoring_drops_failures_the_store_may_have_counted_but_keeps_an_opening() -> None:
    log = logged()
    log.restore(LocalChanges("b", successes=2, failures=3), 1000.0, may_be_counted=True)
    assert (log.successes, log.failures, log.opened) == (0, 0, False)
    log.restore(LocalChanges("b", opened=True, open_for=60.0, opened_ago=20.0), 1000.0, may_be_counted=True)
    assert (log.opened, log.opened_at) == (True, 980.0)
