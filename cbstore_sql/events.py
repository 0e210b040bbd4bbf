"""The events that a breaker passes to its listeners.

A listener is a function that takes one event. The breaker calls it after the operation, outside every lock, in the
thread or event loop of the call that caused the event. What it raises is logged and goes no further.
`AsyncCircuitBreaker` also takes coroutine functions and runs them in tasks. An event describes what this process saw
or did: of a whole fleet, exactly one process receives the event of a state change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbstore_sql.core.model import Permit, Snapshot, State, Transition, Verdict

__all__ = [
    "BreakerEvent",
    "CallFinished",
    "Closed",
    "HalfOpened",
    "Listener",
    "Opened",
    "OverrideCleared",
    "OverrideSet",
    "ProbeClaimed",
    "ProbeExpired",
    "ProbeLost",
    "ProbeStalled",
    "Rejected",
    "StateChanged",
    "StoreDegraded",
    "StoreRecovered",
    "ViewRefreshed",
    "WouldHaveOpened",
    "WouldHaveRejected",
]


@dataclass(frozen=True, slots=True)
class BreakerEvent:
    """Base of all events.

    Attributes:
        name: The breaker's name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class StateChanged(BreakerEvent):
    """This process's operation changed the state.

    Attributes:
        previous_state: The state the same atomic step found.
        snapshot: The breaker after it.
    """

    previous_state: State
    snapshot: Snapshot


# These add no field, so they inherit the dataclass methods: each decoration would cost time at import.
class Opened(StateChanged):
    """Closed or half_open became open."""

    __slots__ = ()


class HalfOpened(StateChanged):
    """Open became half_open: a probe is on its way."""

    __slots__ = ()


class Closed(StateChanged):
    """Half_open or open became closed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rejected(BreakerEvent):
    """A call was refused.

    Attributes:
        state: Open, or half_open while another caller holds the probe; closed while a ``ramp_up`` admits a share.
        retry_after: Seconds until a call may be admitted; 0.0 means now.
        reason: What refused it: ``"state"``, ``"override"``, ``"hold"`` or ``"ramp_up"``.
    """

    state: State
    retry_after: float
    reason: str = "state"


@dataclass(frozen=True, slots=True)
class WouldHaveRejected(BreakerEvent):
    """A call was made that the breaker would have refused, if it were not in shadow mode.

    Attributes:
        state: The circuit's state underneath.
        retry_after: Seconds until the circuit would have admitted a call.
        reason: What would have refused it: ``"state"`` or ``"hold"``.
    """

    state: State
    retry_after: float
    reason: str


@dataclass(frozen=True, slots=True)
class WouldHaveOpened(BreakerEvent):
    """The circuit of a breaker in shadow mode opened, as this process's operation reported; calls go on.

    It comes after `Opened`, which tells the state underneath.

    Attributes:
        snapshot: The breaker after it.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class OverrideSet(BreakerEvent):
    """This process set an override.

    Attributes:
        snapshot: The breaker after it, with mode, end, author and reason.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class OverrideCleared(BreakerEvent):
    """This process removed the override.

    Attributes:
        by: Who removed it.
    """

    by: str


@dataclass(frozen=True, slots=True)
class CallFinished(BreakerEvent):
    """A guarded call ended; its outcome is reported next. A call admitted by hand has no such event.

    Attributes:
        verdict: What its outcome says about the dependency.
        seconds: How many seconds it took, without the store's part.
    """

    verdict: Verdict
    seconds: float


@dataclass(frozen=True, slots=True)
class ProbeClaimed(BreakerEvent):
    """This process owns the probe now.

    Attributes:
        permit: The owner's.
        took_over: Whether the claim found the circuit half_open already: its slot free, or the lease run out.
    """

    permit: Permit
    took_over: bool


class ProbeLost(BreakerEvent):
    """This process tried to claim the probe and another caller won it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ProbeExpired(BreakerEvent):
    """This process owned the probe and settled or renewed it too late: it had no effect.

    Attributes:
        permit: The late owner's.
    """

    permit: Permit


@dataclass(frozen=True, slots=True)
class ProbeStalled(BreakerEvent):
    """This process stopped renewing its probe's lease: the call showed no progress for ten leases.

    When the lease has run out, another caller may take the probe over. A chunk of a response that a client integration
    receives, `CircuitBreaker.progress` and `CircuitBreaker.renew` are signs of progress.

    Attributes:
        permit: The permit of the stalled call.
    """

    permit: Permit


@dataclass(frozen=True, slots=True)
class StoreDegraded(BreakerEvent):
    """The store stopped answering; calls go on by the outage policy.

    Attributes:
        error: The class name of what it raised; its text may hold secrets.
    """

    error: str


class StoreRecovered(BreakerEvent):
    """The store answers again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ViewRefreshed(BreakerEvent):
    """What this process last saw of the breakers it uses was read again.

    Attributes:
        name: The one that was read the longest ago.
        staleness: How long ago that was, seconds, just before it was read again.
    """

    staleness: float


Listener = Callable[[BreakerEvent], object]
"""What is called with each event."""

_CHANGES: dict[State, type[StateChanged]] = {
    State.OPEN: Opened,
    State.HALF_OPEN: HalfOpened,
    State.CLOSED: Closed,
}


def change_of(transition: Transition) -> StateChanged | None:
    """Return the event of a transition that changed the state, or ``None`` for one that did not."""
    if not transition.changed:
        return None
    snapshot = transition.snapshot
    return _CHANGES[snapshot.state](snapshot.name, transition.previous_state, snapshot)
