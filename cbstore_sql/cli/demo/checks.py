"""Checks a finished run against what the service, the workers and the breaker's row recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from cbstore_sql.cli.demo.records import Attempt, Visit
from cbstore_sql.cli.demo.run_state import Board


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise, whether it was kept, and the numbers."""

    kept: bool
    promise: str
    numbers: str


@dataclass(frozen=True, slots=True)
class OpenTime:
    """One open time: from closed→open to the next half_open→closed.

    Attributes:
        asked: When the statement that opened the circuit was sent.
        opened: When it was answered: every later call finds the circuit open.
        closing: When the statement that closed it was sent.
        closed: When that one was answered: every later call finds the circuit closed.
    """

    asked: float
    opened: float
    closing: float = inf
    closed: float = inf


def judge(board: Board) -> list[Verdict]:
    """Check a finished run."""
    times = open_times(board)
    return [
        _one_probe(board),
        _only_probes(board, times),
        _one_witness(board),
        _opened(board, times),
        _closed(board),
        _refused(board, times),
        _none_lost(board),
    ]


def open_times(board: Board) -> list[OpenTime]:
    """Return the times in which the circuit was not closed."""
    times: list[OpenTime] = []
    for change in board.changes:
        if change.before == "closed":
            times.append(OpenTime(change.since, change.until))
        elif change.after == "closed" and times:
            times[-1] = OpenTime(times[-1].asked, times[-1].opened, change.since, change.until)
    return times


def _one_probe(board: Board) -> Verdict:
    probes = sum(visit.probe for visit in board.logbook.visits)
    most = board.logbook.most_probes
    return Verdict(most == 1, "one probe at a time", f"{probes} probes at the service, at most {most} at once")


def _only_probes(board: Board, times: list[OpenTime]) -> Verdict:
    calls = [visit for visit in board.logbook.visits if not visit.probe]
    let_in = [v for v in calls if any(time.opened < v.asked < time.closing for time in times)]
    late = [[v for v in calls if v.asked <= time.opened < v.arrived < time.closing] for time in times]
    # A worker makes one call at a time, so at most one of its calls is under way when the circuit opens.
    kept = bool(times) and not let_in and all(_one_each(visits) for visits in late)
    under_way = sum(map(len, late))
    numbers = f"{len(let_in)} (and {under_way} already under way when it opened)"
    return Verdict(kept, "no other call while open", numbers)


def _one_each(visits: list[Visit]) -> bool:
    return len({visit.worker for visit in visits}) == len(visits)


def _one_witness(board: Board) -> Verdict:
    seen = [change.generation for change in board.changes]
    final = board.snapshot.generation if board.snapshot else 0
    openings = sum(change.before == "closed" for change in board.changes)
    kept = seen == list(range(1, final + 1)) and openings > 0
    numbers = f"{final} changes, {len(seen)} witnesses, {openings} closed -> open"
    return Verdict(kept, "one witness of each change", numbers)


def _opened(board: Board, times: list[OpenTime]) -> Verdict:
    first = _first(board.logbook.visits, lambda visit: not visit.served)
    limit = board.pace.opens_within(len(board.workers))
    if first is None or not times:
        return Verdict(False, "opened after failures", "it never opened")
    failures = sum(not v.served and not v.probe and v.arrived < times[0].opened for v in board.logbook.visits)
    took = times[0].opened - first.arrived
    enough = failures >= board.pace.policy.failure_threshold
    numbers = f"{took:.2f} s after the first of {failures} (at most {limit:.2f} s)"
    return Verdict(enough and took <= limit, "opened after failures", numbers)


def _closed(board: Board) -> Verdict:
    served = board.served_again()
    limit = board.pace.closes_within
    if len(served) < len(board.workers) or not board.healthy:
        return Verdict(False, "closed after recovery", f"only {len(served)} workers were served again")
    took = max(served.values()) - board.health[-1].at
    return Verdict(took <= limit, "closed after recovery", f"for all workers in {took:.2f} s (at most {limit:.2f} s)")


def _refused(board: Board, times: list[OpenTime]) -> Verdict:
    refused = [attempt for attempt in board.attempts if not attempt.made]
    wrong = sum(not any(_overlaps(attempt, time) for time in times) for attempt in refused)
    numbers = f"{len(refused)} refused, {wrong} of them while it was closed"
    return Verdict(bool(refused) and not wrong, "refused only while open", numbers)


def _overlaps(attempt: Attempt, time: OpenTime) -> bool:
    return attempt.ended >= time.asked and attempt.asked <= time.closed


def _none_lost(board: Board) -> Verdict:
    made = [line.made for line in board.workers]
    seen = [sum(visit.worker == line.number for visit in board.logbook.visits) for line in board.workers]
    return Verdict(made == seen, "no call lost", f"{sum(made)} made by workers, {sum(seen)} seen by the service")


def _first(visits: Sequence[Visit], condition: Callable[[Visit], bool]) -> Visit | None:
    return next((visit for visit in visits if condition(visit)), None)
