"""The state of the demo while it runs, for the views and the checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from cbstore_sql.cli.demo.records import Attempt, Change, Health, Logbook, Message, Outcome, Ready, Tally
from cbstore_sql.cli.demo.timing import Timing
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.wording import holder


@dataclass(slots=True)
class WorkerStatus:
    """The numbers of calls of one worker, which the display of the demo shows.

    Attributes:
        number: The number of the worker, from 1.
        pid: The process id of the worker. 0 until the worker is ready.
        last: The worker's last attempt, or ``None`` before the first attempt.
        made: The number of calls that the worker made.
        failed: The number of calls that the worker made and that failed.
        refused: The number of calls that the breaker rejected.
    """

    number: int
    pid: int = 0
    last: Attempt | None = None
    made: int = 0
    failed: int = 0
    refused: int = 0

    @property
    def name(self) -> str:
        """The name of the worker in the display, such as ``worker-1``."""
        return f"worker-{self.number}"

    def count(self, attempt: Attempt) -> None:
        """Count one attempt of this worker, and store the attempt in ``last``.

        Args:
            attempt: The attempt, admitted or rejected.
        """
        self.last = attempt
        self.made += attempt.made
        self.failed += attempt.outcome in (Outcome.ERROR, Outcome.HUNG_UP)
        self.refused += not attempt.made


@dataclass(slots=True)
class RunState:
    """The state of the demo while it runs, collected from the messages of its processes.

    Attributes:
        place: The kind of database in words, such as ``"a SQLite file"``.
        timing: The planned durations of the parts of the demo.
        workers: The workers in order of their numbers.
        attempts: All attempts in order of arrival.
        changes: All changes of the breaker's row, ordered by generation.
        health: The messages in which the service reported that it began to fail or recovered.
        tally: The numbers of calls at the service, by its last message.
        logbook: All calls that the service saw. Empty until the demo ends.
        snapshot: The breaker's state at the last read, or ``None`` before the first read.
        port: The port on which the service listens. 0 until the service is ready.
        began: When the workers began, by `time.monotonic` in seconds. 0.0 until the workers begin.
        leaves: The objects that remain in the database after the demo, in words.
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
        """Update the state with a message that the service or a worker sent.

        Args:
            message: The message. `Failed` changes nothing; the scenario handles that message.
        """
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
        """Whether the service works now, by the last message in ``health``."""
        return not self.health or self.health[-1].healthy

    @property
    def prober(self) -> WorkerStatus | None:
        """The worker whose call is the current probe, or ``None`` if no probe is running."""
        owner = holder(self.snapshot.probe_token) if self.snapshot else ""
        return next((line for line in self.workers if owner.endswith(f"/{line.pid}")), None)

    @property
    def made(self) -> int:
        """The number of calls that all workers together made to the service."""
        return sum(line.made for line in self.workers)

    @property
    def failed(self) -> int:
        """The number of calls that all workers together made and that failed."""
        return sum(line.failed for line in self.workers)

    @property
    def refused(self) -> int:
        """The number of calls of all workers that the breaker rejected."""
        return sum(line.refused for line in self.workers)

    @property
    def probe_failed(self) -> bool:
        """Whether the failure of a probe has opened the circuit again."""
        return any((change.before, change.after) == ("half_open", "open") for change in self.changes)

    def served_again(self) -> dict[int, float]:
        """Return the time at which the service first served each worker after the circuit had closed for the last time.

        Returns:
            The times by worker number, as readings of `time.monotonic` in seconds. A worker that the service has not
            served since then is missing. The result is empty if the circuit has never closed.
        """
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
