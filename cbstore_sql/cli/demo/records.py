"""The messages that the demo's processes send each other.

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
    """A change of the breaker's row, reported by the one worker whose statement made it.

    Attributes:
        worker: The number of the worker that made it.
        generation: The row's generation after it.
        before: The state before the statement.
        after: The state after it.
        since: When the worker sent the statement.
        until: When the worker got the answer. The change happened between the two.
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
        worker: The worker's number.
        probe: Whether the breaker admitted it as the probe.
        asked: When the worker began to ask the breaker.
        ended: When the outcome was settled.
        outcome: How it ended.
        changes: The changes of the breaker that this attempt made.
    """

    worker: int
    probe: bool
    asked: float
    ended: float
    outcome: Outcome
    changes: tuple[Change, ...]

    @property
    def made(self) -> bool:
        """Whether the call was made; the service must then have seen it."""
        return self.outcome is not Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Visit:
    """One call as the service saw it.

    Attributes:
        worker: The caller's number.
        probe: Whether the call said that it was the probe.
        asked: When the caller began to ask the breaker, as the call said.
        arrived: When it reached the service.
        served: Whether it got a good answer.
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
    """A worker cannot continue."""

    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """From this time on, the service answers well or fails."""

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
    """Everything that the service saw.

    Attributes:
        visits: Every call, in order of arrival.
        most_probes: The largest number of probes in service at one time.
    """

    visits: tuple[Visit, ...] = ()
    most_probes: int = 0


Message = Attempt | Ready | Failed | Health | Tally | Logbook
