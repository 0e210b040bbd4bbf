"""The messages between the demo's processes.

Times are readings of `time.monotonic` in seconds, which all processes of a machine share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BREAKER = "payments"
"""The name of the breaker that all workers share."""


class Outcome(str, Enum):
    """A way in which an attempt of a worker can end.

    Attributes:
        OK: The service answered successfully.
        ERROR: The service answered with an error.
        HUNG_UP: The service closed the connection without an answer, or did not answer in time.
        REFUSED: The breaker rejected the call.
    """

    OK = "ok"
    ERROR = "503"
    HUNG_UP = "hung up"
    REFUSED = "rejected"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the breaker's row in the database, reported by the worker whose SQL statement caused the change.

    Times are readings of `time.monotonic` in seconds.

    Attributes:
        worker: The number of the worker.
        generation: The row's generation after the change. The generation is a number that grows with each change.
        before: The state before the change: ``"closed"``, ``"open"`` or ``"half_open"``.
        after: The state after the change, one of the same three.
        since: When the worker sent the statement.
        until: When the worker received the answer. The change happened between ``since`` and ``until``.
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

    Times are readings of `time.monotonic` in seconds.

    Attributes:
        worker: The number of the worker.
        probe: Whether the breaker admitted the call as the probe.
        asked: When the worker requested admission from the breaker.
        ended: When the worker had reported the outcome to the breaker.
        outcome: How the attempt ended.
        changes: The changes of the breaker's row that this attempt caused.
    """

    worker: int
    probe: bool
    asked: float
    ended: float
    outcome: Outcome
    changes: tuple[Change, ...]

    @property
    def made(self) -> bool:
        """Whether the breaker admitted the call, so that the worker called the service."""
        return self.outcome is not Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Visit:
    """One call to the service, as the service recorded the call.

    Times are readings of `time.monotonic` in seconds.

    Attributes:
        worker: The number of the worker that called.
        probe: Whether the call was marked as the probe.
        asked: When the worker requested admission from the breaker. A header of the call states this time.
        arrived: When the call reached the service.
        served: Whether the service answered the call successfully.
    """

    worker: int
    probe: bool
    asked: float
    arrived: float
    served: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """The message with which the service or a worker reports that it is ready.

    Attributes:
        pid: The process id of the sender.
        worker: The number of the worker. 0 means that the sender is the service.
        port: The port on which the service listens. 0 if the sender is a worker.
    """

    pid: int
    worker: int = 0
    port: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The message with which a worker reports that it cannot continue.

    Attributes:
        reason: The error, in words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """The message with which the service reports that from now on it works or fails.

    Attributes:
        healthy: ``True`` if the service works from now on, ``False`` if the service fails from now on.
        at: The time of the change by `time.monotonic`, in seconds.
    """

    healthy: bool
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """A message of the demo service: how many calls it has received since its start.

    Attributes:
        arrived: The number of calls that reached the service.
        failed: The number of these calls that the service did not answer successfully.
        present: The number of calls that the service is serving now.
    """

    arrived: int = 0
    failed: int = 0
    present: int = 0


@dataclass(frozen=True, slots=True)
class Logbook:
    """The last message of the service, with a record of every call that reached it.

    Attributes:
        visits: The calls in order of arrival.
        most_probes: The greatest number of probes that the service served at the same time.
    """

    visits: tuple[Visit, ...] = ()
    most_probes: int = 0


Message = Attempt | Ready | Failed | Health | Tally | Logbook
