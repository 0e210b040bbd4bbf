"""The messages between the demo's processes.

Times are readings of `time.monotonic` in seconds, which all processes of a machine share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BREAKER = "payments"
"""The name of the breaker that all workers share."""


class Outcome(str, Enum):
    """How an attempt of a worker ended."""

    OK = "ok"
    ERROR = "503"
    HUNG_UP = "hung up"
    REFUSED = "rejected"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the breaker's row, reported by the worker whose statement made it.

    Attributes:
        worker: The number of that worker.
        generation: The row's generation after the change.
        before: The state before the change.
        after: The state after the change.
        since: When the worker sent the statement.
        until: When the worker had the answer. The change happened between the two.
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
        worker: The number of the worker.
        probe: Whether the breaker admitted the call as the probe.
        asked: When the worker asked the breaker.
        ended: When the outcome was reported.
        outcome: How the attempt ended.
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
        """Whether the call was made. If so, the service must have seen it."""
        return self.outcome is not Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Visit:
    """One call as the service saw it.

    Attributes:
        worker: The number of the worker that called.
        probe: Whether the call was marked as the probe.
        asked: When the worker asked the breaker, as stated in the call.
        arrived: When the call reached the service.
        served: Whether the service answered it successfully.
    """

    worker: int
    probe: bool
    asked: float
    arrived: float
    served: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A process is ready.

    Attributes:
        pid: Its process id.
        worker: The number of the worker; 0 is the service.
        port: The port on which the service listens; 0 for workers.
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
    """The service works, or fails, from this time on."""

    healthy: bool
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of the service so far."""

    arrived: int = 0
    failed: int = 0
    present: int = 0


@dataclass(frozen=True, slots=True)
class Logbook:
    """All calls that the service saw.

    Attributes:
        visits: The calls in order of arrival.
        most_probes: The highest number of probes served at the same time.
    """

    visits: tuple[Visit, ...] = ()
    most_probes: int = 0


Message = Attempt | Ready | Failed | Health | Tally | Logbook
