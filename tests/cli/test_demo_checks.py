"""Each check of the demo fails if the run violates it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cbstore_sql.cli.demo.checks import run_checks
from cbstore_sql.cli.demo.records import Attempt, Change, Health, Logbook, Outcome, Visit
from cbstore_sql.cli.demo.run_state import RunState
from tests.cli.demo_runs import BEGAN, finished_run


def visit_also(*visits: Visit) -> Callable[[RunState], None]:
    """Return a function that adds calls to the service's records but not to the workers' records."""

    def spoil(run: RunState) -> None:
        run.logbook = replace(run.logbook, visits=(*run.logbook.visits, *visits))

    return spoil


def two_probes_at_once(run: RunState) -> None:
    run.logbook = replace(run.logbook, most_probes=2)


def no_probe(run: RunState) -> None:
    run.logbook = replace(run.logbook, most_probes=0)


def second_witness(run: RunState) -> None:
    run.changes.insert(1, replace(run.changes[0], worker=2))


def unseen_change(run: RunState) -> None:
    del run.changes[2]


def unreported_change(run: RunState) -> None:
    assert run.snapshot
    run.snapshot = run.snapshot._replace(generation=6)


def opened_after_four_failures(run: RunState) -> None:
    first, *others = run.logbook.visits
    run.logbook = replace(run.logbook, visits=(replace(first, served=True), *others))


def opened_late(run: RunState) -> None:
    run.changes[0] = replace(run.changes[0], until=BEGAN + 5)


def never_opened(run: RunState) -> None:
    run.changes.clear()


def worker_not_served_again(run: RunState) -> None:
    run.attempts.pop()


def served_again_late(run: RunState) -> None:
    run.attempts[-1] = replace(run.attempts[-1], ended=BEGAN + 12)


def never_recovered(run: RunState) -> None:
    run.take(Health(False, BEGAN + 9))


def refused_while_closed(run: RunState) -> None:
    run.take(Attempt(1, False, BEGAN + 1, BEGAN + 1.01, Outcome.REFUSED, ()))


def no_rejection(run: RunState) -> None:
    run.attempts = [attempt for attempt in run.attempts if attempt.made]


def lost_call(run: RunState) -> None:
    run.logbook = Logbook(run.logbook.visits[:-1], most_probes=1)


def failed_checks(run: RunState) -> set[str]:
    return {result.check for result in run_checks(run) if not result.passed}


def test_a_correct_run_passes_every_check() -> None:
    assert failed_checks(finished_run()) == set()


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (two_probes_at_once, "one probe at a time"),
        (no_probe, "one probe at a time"),
        (visit_also(Visit(2, False, BEGAN + 4.2, BEGAN + 4.3, False)), "no other call while open"),
        (
            visit_also(*[Visit(2, False, BEGAN + 3.85, BEGAN + 3.95 + late, False) for late in (0, 0.2)]),
            "no other call while open",
        ),
        (never_opened, "no other call while open"),
        (second_witness, "each change reported once"),
        (unseen_change, "each change reported once"),
        (unreported_change, "each change reported once"),
        (opened_after_four_failures, "opened after failures"),
        (opened_late, "opened after failures"),
        (never_opened, "opened after failures"),
        (worker_not_served_again, "closed after recovery"),
        (served_again_late, "closed after recovery"),
        (never_recovered, "closed after recovery"),
        (refused_while_closed, "rejected only while open"),
        (no_rejection, "rejected only while open"),
        (lost_call, "no call lost"),
    ],
)
def test_a_check_fails_when_the_run_violates_it(spoil: Callable[[RunState], None], check: str) -> None:
    spoiled = finished_run()
    spoil(spoiled)
    assert check in failed_checks(spoiled)


def test_a_call_under_way_when_the_circuit_opens_is_allowed() -> None:
    run = finished_run()
    visit_also(Visit(2, False, BEGAN + 3.85, BEGAN + 3.95, False))(run)
    run.workers[1].made += 1
    assert failed_checks(run) == set()


def test_changes_are_ordered_by_generation() -> None:
    run = finished_run()
    late = Change(1, 0, "closed", "open", BEGAN, BEGAN)
    run.take(Attempt(1, False, BEGAN, BEGAN, Outcome.ERROR, (late,)))
    assert [change.generation for change in run.changes] == [0, 1, 2, 3, 4, 5]
