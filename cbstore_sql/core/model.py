"""What a breaker is: its states, its row, and what the stores hand out.

What is handed out is a named tuple: it cannot be changed, and making one costs a fifth of a frozen dataclass.

All times are Unix seconds by the store's clock, all durations are seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class State(str, Enum):
    """The three states of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    def __str__(self) -> str:
        return self.value


class Verdict(Enum):
    """What the outcome of a call says about the dependency."""

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


STATES = tuple(state.value for state in State)


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of one breaker that the rules read and write, with the values of a breaker never seen before.

    The order of the fields is the order of the columns and of every store's answer.
    """

    state: str = State.CLOSED.value
    previous_state: str = State.CLOSED.value
    generation: int = 0
    failure_count: int = 0
    success_count: int = 0
    last_failure_time: float = 0.0
    open_until: float = 0.0
    open_seconds: float = 0.0
    probe_token: str = ""
    probe_until: float = 0.0


class Permit(NamedTuple):
    """The right to report the outcome of one admitted call.

    A report through a permit counts only while the breaker is still in the generation the permit was given
    in. Of a half-open breaker only the owner of the probe holds such a permit.

    Attributes:
        name: The breaker's name.
        generation: The breaker's generation when the call was admitted.
        token: The probe token for the owner of a probe, ``""`` for a call through a closed circuit.
    """

    name: str
    generation: int
    token: str = ""

    @property
    def is_probe(self) -> bool:
        """Whether this permit owns (or once owned) the probe."""
        return self.token != ""


class LocalPermit(Permit):
    """A permit that this process gave by itself while the store did not answer."""

    __slots__ = ()


class UnreportedPermit(Permit):
    """A permit of a call whose outcome is reported to nobody."""

    __slots__ = ()


class Snapshot(NamedTuple):
    """One breaker at one moment.

    Attributes:
        name: The breaker's name.
        state: Closed, open or half_open.
        generation: Grows with every state change and with every claim, settle and release of a probe.
        failure_count: Failures since the last success through a closed circuit.
        success_count: Successful probes since the circuit became half_open.
        last_failure_time: Unix seconds; 0.0 means never.
        open_until: Unix seconds from which a probe may be claimed; 0.0 means never opened.
        open_seconds: The length of the current or last open time before jitter; 0.0 while the circuit is closed.
        probe_token: Who holds the probe; ``""`` means nobody.
        probe_until: Unix seconds at which the probe's lease runs out; 0.0 means no probe.
        as_of: The store's clock when this was read, Unix seconds.
    """

    name: str
    state: State
    generation: int
    failure_count: int
    success_count: int
    last_failure_time: float
    open_until: float
    open_seconds: float
    probe_token: str
    probe_until: float
    as_of: float

    @classmethod
    def of(cls, name: str, row: Row, as_of: float) -> Snapshot:
        """Show a row as it was at a moment, Unix seconds."""
        return cls(
            name,
            State(row.state),
            row.generation,
            row.failure_count,
            row.success_count,
            row.last_failure_time,
            row.open_until,
            row.open_seconds,
            row.probe_token,
            row.probe_until,
            as_of,
        )

    @property
    def permit(self) -> Permit:
        """The permit of a call admitted on this snapshot."""
        return Permit(self.name, self.generation, self.probe_token)

    @property
    def probe_active(self) -> bool:
        """Whether somebody holds the probe and the lease has not run out."""
        return self.probe_until > self.as_of

    @property
    def probe_claimable(self) -> bool:
        """Whether a claim made at ``as_of`` would find the probe free."""
        if self.state is State.OPEN:
            return self.open_until <= self.as_of
        return self.state is State.HALF_OPEN and not self.probe_active

    @property
    def retry_after(self) -> float:
        """Seconds until a call may be admitted: 0.0 when it may be tried now."""
        if self.state is State.OPEN:
            return max(0.0, self.open_until - self.as_of)
        if self.state is State.HALF_OPEN:
            return max(0.0, self.probe_until - self.as_of)
        return 0.0


class Transition(NamedTuple):
    """An operation that had an effect.

    Attributes:
        previous_state: The state the same atomic step found.
        snapshot: The breaker after it.
    """

    previous_state: State
    snapshot: Snapshot

    @classmethod
    def of(cls, name: str, row: Row, as_of: float) -> Transition:
        """Show a row just written, which remembers the state it was in before."""
        return cls(State(row.previous_state), Snapshot.of(name, row, as_of))

    @property
    def changed(self) -> bool:
        """Whether the state is another one now. Of racing callers exactly one sees each change."""
        return self.previous_state is not self.snapshot.state

    @property
    def permit(self) -> Permit:
        """The permit for the breaker as this step left it: after a claim, the owner's."""
        return self.snapshot.permit


def new_token() -> str:
    """Make a probe token nobody else has: ``host/process id/64 random bits``.

    The readable part is for the person who looks at the table at night; uniqueness comes from the random one.
    """
    # Half of what importing this library costs would go into these.
    import secrets
    import socket

    return f"{socket.gethostname()[:64]}/{os.getpid()}/{secrets.token_hex(8)}"
