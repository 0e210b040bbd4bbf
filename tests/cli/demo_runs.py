"""A correct run of the demo as data: ten seconds, two workers, one opening, one failed and one successful probe."""

from __future__ import annotations

from cbstore_sql.cli.demo.records import BREAKER, Attempt, Change, Health, Logbook, Message, Outcome, Tally, Visit
from cbstore_sql.cli.demo.run_state import RunState, WorkerStatus
from cbstore_sql.cli.demo.timing import Timing
from cbstore_sql.core.model import Row, Snapshot

BEGAN = 1000.0
_CHANGES = (
    Change(1, 1, "closed", "open", 1003.8, 1003.9),
    Change(2, 2, "open", "half_open", 1005.1, 1005.2),
    Change(2, 3, "half_open", "open", 1005.3, 1005.4),
    Change(1, 4, "open", "half_open", 1007.1, 1007.2),
    Change(1, 5, "half_open", "closed", 1007.3, 1007.4),
)


def finished_run() -> RunState:
    made = RunState(
        "a SQLite file", Timing.of(12, 2, patience=1), [WorkerStatus(1, 101), WorkerStatus(2, 102)], began=BEGAN
    )
    told: list[Message] = [
        Health(False, BEGAN + 3),
        Health(True, BEGAN + 6.5),
        *_attempts(),
        _logbook(),
        Tally(9, 6, 0),
    ]
    for message in told:
        made.take(message)
    made.snapshot = Snapshot.of(BREAKER, Row()._replace(generation=5), BEGAN + 10)
    return made


def _attempts() -> list[Attempt]:
    failures = [
        Attempt(1 + number % 2, False, BEGAN + 3 + number / 6, BEGAN + 3.1 + number / 6, Outcome.ERROR, ())
        for number in range(4)
    ]
    return [
        *failures,
        Attempt(1, False, BEGAN + 3.6, BEGAN + 3.9, Outcome.HUNG_UP, _CHANGES[:1]),
        Attempt(2, False, BEGAN + 4.5, BEGAN + 4.5, Outcome.REFUSED, ()),
        Attempt(2, True, BEGAN + 5.1, BEGAN + 5.4, Outcome.ERROR, _CHANGES[1:3]),
        Attempt(1, True, BEGAN + 7.1, BEGAN + 7.4, Outcome.OK, _CHANGES[3:]),
        Attempt(1, False, BEGAN + 7.5, BEGAN + 7.6, Outcome.OK, ()),
        Attempt(2, False, BEGAN + 7.6, BEGAN + 7.7, Outcome.OK, ()),
    ]


def _logbook() -> Logbook:
    visits = [
        Visit(attempt.worker, attempt.probe, attempt.asked, attempt.asked + 0.01, attempt.outcome is Outcome.OK)
        for attempt in _attempts()
        if attempt.made
    ]
    return Logbook(tuple(visits), most_probes=1)
