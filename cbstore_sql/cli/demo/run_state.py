"""The state of a run so far, for the views and the checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from cbstore_sql.cli.demo.records import Attempt, Change, Health, Logbook, Message, Outcome, Ready, Tally
from cbstore_sql.cli.demo.timing import Timing
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.wording import holder


@dataclass(slots=True)
class WorkerStatus:
    """One worker, as the view shows it."""

    number: int
    pid: int = 0
    last: Attempt | None = None
    made: int = 0
    failed: int = 0
    refused: int = 0

    @property
    def name(self) -> str:
        """The name of the worker in the view."""
        return f"worker-{self.number}"

    def count(self, attempt: Attempt) -> None:
        """Count one attempt."""
        self.last = attempt
        self.made += attempt.made
        self.failed += attempt.outcome in (Outcome.ERROR, Outcome.HUNG_UP)
        self.refused += not attempt.made


@dataclass(slots=True)
class RunState:
    """Everything that the processes have reported.

    Attributes:
        place: The kind of database, in words.
        timing: The times of the run.
        workers: The workers in order of their numbers.
        attempts: All attempts in order of arrival.
        changes: All changes of the breaker, ordered by generation.
        health: When the service began to fail, and when it recovered.
        tally: The counts of the service so far.
        logbook: All calls that the service saw; empty until the end.
        snapshot: The breaker as last read.
        port: The port on which the service listens; 0 until it is known.
        began: When the workers began; 0.0 until then.
        leaves: What the run leaves behind, in words.
    """

    place: str
    timing: Timing
    workers: list[WorkerStatus]
    attempts: list[Attempt] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    health: list[Health] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    logbook: Logbook = field(default_factory=Logbook)
    snapshot: Snapshot | None = None
    port: int = 0
    began: float = 0.0
    leaves: str = "nothing"

    def take(self, message: Message) -> None:
        """Take in a message of a process."""
        match message:
            case Attempt():
                self.attempts.append(message)
                self.workers[message.worker - 1].count(message)
                self.changes = sorted([*self.changes, *message.changes], key=lambda change: change.generation)
            case Health():
                self.health.append(message)
            case Tally():
                self.tally = message
            case Logbook():
                self.logbook = message
            case Ready():
                self._note_ready(message)

    @property
    def healthy(self) -> bool:
        """Whether the service works."""
        return not self.health or self.health[-1].healthy

    @property
    def prober(self) -> WorkerStatus | None:
        """The worker that holds the probe, or ``None``."""
        owner = holder(self.snapshot.probe_token) if self.snapshot else ""
        return next((line for line in self.workers if owner.endswith(f"/{line.pid}")), None)

    @property
    def made(self) -> int:
        """Number of calls that were made."""
        return sum(line.made for line in self.workers)

    @property
    def failed(self) -> int:
        """Number of calls that were made and failed."""
        return sum(line.failed for line in self.workers)

    @property
    def refused(self) -> int:
        """Number of calls that the breaker rejected."""
        return sum(line.refused for line in self.workers)

    @property
    def probe_failed(self) -> bool:
        """Whether a probe has opened the circuit again."""
        return any((change.before, change.after) == ("half_open", "open") for change in self.changes)

    def served_again(self) -> dict[int, float]:
        """Return when each worker was first served after the circuit closed; workers not served yet are missing."""
        closed = [change.until for change in self.changes if change.after == "closed"]
        if not closed:
            return {}
        served = [a for a in self.attempts if a.outcome is Outcome.OK and a.asked > closed[-1]]
        return {attempt.worker: attempt.ended for attempt in reversed(served)}

    def _note_ready(self, message: Ready) -> None:
        if message.worker:
            self.workers[message.worker - 1].pid = message.pid
        else:
            self.port = message.port
