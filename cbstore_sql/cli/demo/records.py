"""What the demo's processes tell each other.

Times are readings of `time.monotonic`, seconds: one clock for all processes of a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BREAKER = "payments"
"""The name of the one breaker."""


class Outcome(str, Enum):
    """How one attempt of a worker ended."""

    OK = "ok"
    ERROR = "503"
    HUNG_UP = "hung up"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the breaker's row, told by the one worker whose statement made it.

    Attributes:
        worker: Who made it.
        generation: The row's generation after it.
        before: The state the statement found.
        after: The state it left.
        since: When the worker sent the statement.
        until: When the worker had its answer: the change happened between the two.
    """

    worker: int
    generation: int
    before: str
    after: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a worker to call the service.

    Attributes:
        worker: Who attempted it.
        probe: Whether the breaker admitted it as the probe.
        asked: When the worker began to ask the breaker.
        ended: When the outcome was settled.
        outcome: What came of it.
        changes: The changes of the breaker this attempt made.
    """

    worker: int
    probe: bool
    asked: float
    ended: float
    outcome: Outcome
    changes: tuple[Change, ...]

    @property
    def made(self) -> bool:
        """Whether the call was made, so that the service must have seen it."""
        return self.outcome is not Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Visit:
    """One call as the service saw it.

    Attributes:
        worker: Who called.
        probe: Whether the call said it was the probe.
        asked: When the caller began to ask the breaker, as the call said.
        arrived: When it reached the service.
        served: Whether it was answered well.
    """

    worker: int
    probe: bool
    asked: float
    arrived: float
    served: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A process is ready to begin.

    Attributes:
        pid: Its process id.
        worker: Which worker it is; 0 is the service.
        port: Where the service listens; 0 for workers.
    """

    pid: int
    worker: int = 0
    port: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker cannot go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """The service answers well, or fails, from this time on."""

    healthy: bool
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What the service has counted so far."""

    arrived: int = 0
    failed: int = 0
    present: int = 0


@dataclass(frozen=True, slots=True)
class Logbook:
    """Everything the service saw.

    Attributes:
        visits: Every call, in order of arrival.
        most_probes: The most probes that were being served at one time.
    """

    visits: tuple[Visit, ...] = ()
    most_probes: int = 0


Message = Attempt | Ready | Failed | Health | Tally | Logbook
