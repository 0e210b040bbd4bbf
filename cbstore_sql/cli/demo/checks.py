"""The checks at the end of the demo, which compare the records of the service, of the workers and of the breaker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from cbstore_sql.cli.demo.records import Attempt, Visit
from cbstore_sql.cli.demo.run_state import RunState


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check that the demo makes at its end.

    Attributes:
        passed: Whether the check passed.
        check: The name of the check.
        figures: A text with the measured numbers.
    """

    passed: bool
    check: str
    figures: str


@dataclass(frozen=True, slots=True)
class OpenTime:
    """One period during which the circuit was open or half_open, from a change closed→open until the circuit closed.

    All attributes are readings of `time.monotonic` in seconds.

    Attributes:
        asked: When a worker sent the statement that opened the circuit.
        opened: When the worker received the answer to that statement. Later callers find the circuit open.
        closing: When a worker sent the statement that closed the circuit. `math.inf` if the circuit did not close.
        closed: When the worker received the answer to the closing statement. Later callers find the circuit closed.
            `math.inf` if the circuit did not close.
    """

    asked: float
    opened: float
    closing: float = inf
    closed: float = inf


def run_checks(run: RunState) -> list[CheckResult]:
    """Run all checks of a finished demo and return their results.

    Args:
        run: The final state of the demo.
    """
    times = open_times(run)
    return [
        _one_probe(run),
        _only_probes(run, times),
        _one_witness(run),
        _opened(run, times),
        _closed(run),
        _refused(run, times),
        _none_lost(run),
    ]


def open_times(run: RunState) -> list[OpenTime]:
    """Return the periods during which the circuit was open or half_open, the earliest first.

    Args:
        run: The final state of the demo.
    """
    times: list[OpenTime] = []
    for change in run.changes:
        if change.before == "closed":
            times.append(OpenTime(change.since, change.until))
        elif change.after == "closed" and times:
            times[-1] = OpenTime(times[-1].asked, times[-1].opened, change.since, change.until)
    return times


def _one_probe(run: RunState) -> CheckResult:
    probes = sum(visit.probe for visit in run.logbook.visits)
    most = run.logbook.most_probes
    return CheckResult(most == 1, "one probe at a time", f"{probes} probes at the service, at most {most} at once")


def _only_probes(run: RunState, times: list[OpenTime]) -> CheckResult:
    calls = [visit for visit in run.logbook.visits if not visit.probe]
    let_in = [v for v in calls if any(time.opened < v.asked < time.closing for time in times)]
    late = [[v for v in calls if v.asked <= time.opened < v.arrived < time.closing] for time in times]
    # A worker makes one call at a time, so at most one of its calls is under way when the circuit opens.
    kept = bool(times) and not let_in and all(_one_each(visits) for visits in late)
    under_way = sum(map(len, late))
    numbers = f"{len(let_in)} (and {under_way} already under way when it opened)"
    return CheckResult(kept, "no other call while open", numbers)


def _one_each(visits: list[Visit]) -> bool:
    return len({visit.worker for visit in visits}) == len(visits)


def _one_witness(run: RunState) -> CheckResult:
    seen = [change.generation for change in run.changes]
    final = run.snapshot.generation if run.snapshot else 0
    openings = sum(change.before == "closed" for change in run.changes)
    kept = seen == list(range(1, final + 1)) and openings > 0
    numbers = f"{final} changes, {len(seen)} reports, {openings} closed -> open"
    return CheckResult(kept, "each change reported once", numbers)


def _opened(run: RunState, times: list[OpenTime]) -> CheckResult:
    first = _first(run.logbook.visits, lambda visit: not visit.served)
    limit = run.timing.opens_within(len(run.workers))
    if first is None or not times:
        return CheckResult(False, "opened after failures", "it never opened")
    failures = sum(not v.served and not v.probe and v.arrived < times[0].opened for v in run.logbook.visits)
    took = times[0].opened - first.arrived
    enough = failures >= run.timing.policy.failure_threshold
    numbers = f"{took:.2f} s after the first of {failures} (at most {limit:.2f} s)"
    return CheckResult(enough and took <= limit, "opened after failures", numbers)


def _closed(run: RunState) -> CheckResult:
    served = run.served_again()
    limit = run.timing.closes_within
    if len(served) < len(run.workers) or not run.healthy:
        return CheckResult(False, "closed after recovery", f"only {len(served)} workers were served again")
    took = max(served.values()) - run.health[-1].at
    return CheckResult(
        took <= limit, "closed after recovery", f"for all workers in {took:.2f} s (at most {limit:.2f} s)"
    )


def _refused(run: RunState, times: list[OpenTime]) -> CheckResult:
    refused = [attempt for attempt in run.attempts if not attempt.made]
    wrong = sum(not any(_overlaps(attempt, time) for time in times) for attempt in refused)
    numbers = f"{len(refused)} rejected, {wrong} of them while it was closed"
    return CheckResult(bool(refused) and not wrong, "rejected only while open", numbers)


def _overlaps(attempt: Attempt, time: OpenTime) -> bool:
    return attempt.ended >= time.asked and attempt.asked <= time.closed


def _none_lost(run: RunState) -> CheckResult:
    made = [line.made for line in run.workers]
    seen = [sum(visit.worker == line.number for visit in run.logbook.visits) for line in run.workers]
    return CheckResult(made == seen, "no call lost", f"{sum(made)} made by workers, {sum(seen)} seen by the service")


def _first(visits: Sequence[Visit], condition: Callable[[Visit], bool]) -> Visit | None:
    return next((visit for visit in visits if condition(visit)), None)
