"""The demo's checks fail when what they check is not so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cbstore_sql.cli.demo.checks import judge
from cbstore_sql.cli.demo.records import Attempt, Change, Health, Logbook, Outcome, Visit
from cbstore_sql.cli.demo.run_state import Board
from tests.cli.boards import BEGAN, board


def visit_also(*visits: Visit) -> Callable[[Board], None]:
    """More calls at the service than the workers tell of."""

    def spoil(board: Board) -> None:
        board.logbook = replace(board.logbook, visits=(*board.logbook.visits, *visits))

    return spoil


def two_probes_at_once(board: Board) -> None:
    board.logbook = replace(board.logbook, most_probes=2)


def no_probe(board: Board) -> None:
    board.logbook = replace(board.logbook, most_probes=0)


def second_witness(board: Board) -> None:
    board.changes.insert(1, replace(board.changes[0], worker=2))


def unseen_change(board: Board) -> None:
    del board.changes[2]


def change_nobody_told(board: Board) -> None:
    assert board.snapshot
    board.snapshot = board.snapshot._replace(generation=6)


def opened_after_four_failures(board: Board) -> None:
    first, *others = board.logbook.visits
    board.logbook = replace(board.logbook, visits=(replace(first, served=True), *others))


def opened_late(board: Board) -> None:
    board.changes[0] = replace(board.changes[0], until=BEGAN + 5)


def never_opened(board: Board) -> None:
    board.changes.clear()


def worker_not_served_again(board: Board) -> None:
    board.attempts.pop()


def served_again_late(board: Board) -> None:
    board.attempts[-1] = replace(board.attempts[-1], ended=BEGAN + 12)


def never_recovered(board: Board) -> None:
    board.take(Health(False, BEGAN + 9))


def refused_while_closed(board: Board) -> None:
    board.take(Attempt(1, False, BEGAN + 1, BEGAN + 1.01, Outcome.REFUSED, ()))


def nobody_refused(board: Board) -> None:
    board.attempts = [attempt for attempt in board.attempts if attempt.made]


def lost_call(board: Board) -> None:
    board.logbook = Logbook(board.logbook.visits[:-1], most_probes=1)


def broken_promises(board: Board) -> set[str]:
    return {verdict.promise for verdict in judge(board) if not verdict.kept}


def test_a_run_as_it_should_be_keeps_every_promise() -> None:
    assert broken_promises(board()) == set()


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [
        (two_probes_at_once, "one probe at a time"),
        (no_probe, "one probe at a time"),
        (visit_also(Visit(2, False, BEGAN + 4.2, BEGAN + 4.3, False)), "no other call while open"),
        (
            visit_also(*[Visit(2, False, BEGAN + 3.85, BEGAN + 3.95 + late, False) for late in (0, 0.2)]),
            "no other call while open",
        ),
        (never_opened, "no other call while open"),
        (second_witness, "one witness of each change"),
        (unseen_change, "one witness of each change"),
        (change_nobody_told, "one witness of each change"),
        (opened_after_four_failures, "opened after failures"),
        (opened_late, "opened after failures"),
        (never_opened, "opened after failures"),
        (worker_not_served_again, "closed after recovery"),
        (served_again_late, "closed after recovery"),
        (never_recovered, "closed after recovery"),
        (refused_while_closed, "refused only while open"),
        (nobody_refused, "refused only while open"),
        (lost_call, "no call lost"),
    ],
)
def test_a_check_fails_when_its_promise_is_broken(spoil: Callable[[Board], None], promise: str) -> None:
    spoiled = board()
    spoil(spoiled)
    assert promise in broken_promises(spoiled)


def test_a_call_that_was_under_way_when_the_circuit_opened_breaks_no_promise() -> None:
    run = board()
    visit_also(Visit(2, False, BEGAN + 3.85, BEGAN + 3.95, False))(run)
    run.workers[1].made += 1
    assert broken_promises(run) == set()


def test_changes_are_put_in_order_whoever_tells_of_them_first() -> None:
    run = board()
    late = Change(1, 0, "closed", "open", BEGAN, BEGAN)
    run.take(Attempt(1, False, BEGAN, BEGAN, Outcome.ERROR, (late,)))
    assert [change.generation for change in run.changes] == [0, 1, 2, 3, 4, 5]
