"""The events that a breaker passes to its listeners.

A listener is a function with one parameter, the event. The breaker calls its listeners after the operation, outside
every lock, in the thread or event loop of the call that caused the event. If a listener raises an exception, the
breaker logs the exception and does not raise it. `AsyncCircuitBreaker` also accepts coroutine functions as listeners
and runs them in tasks.

An event describes what this process saw or did. Exactly one process of a fleet receives the event of a state change.
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
    """The base class of all events.

    Attributes:
        name: The breaker's name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class StateChanged(BreakerEvent):
    """The event of a state change that an operation of this process made.

    Attributes:
        previous_state: The state before the change, as the operation found it in the same atomic step.
        snapshot: The breaker after the change.
    """

    previous_state: State
    snapshot: Snapshot


# The next three classes add no field, so they inherit the dataclass methods. A decorator on each class would cost time
# at import.
class Opened(StateChanged):
    """The event of a circuit that changed from closed or half_open to open."""

    __slots__ = ()


class HalfOpened(StateChanged):
    """The event of a circuit that changed from open to half_open: this process claimed the probe."""

    __slots__ = ()


class Closed(StateChanged):
    """The event of a circuit that changed from half_open or open to closed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rejected(BreakerEvent):
    """The event of a call that the breaker refused.

    Attributes:
        state: The state of the circuit: open; half_open while another caller holds the probe; closed while a
            ``ramp_up`` admits only a share of the calls.
        retry_after: Seconds until the breaker may admit a call; 0.0 means now.
        reason: Why the breaker refused the call: ``"state"``, ``"override"``, ``"hold"`` or ``"ramp_up"``.
    """

    state: State
    retry_after: float
    reason: str = "state"


@dataclass(frozen=True, slots=True)
class WouldHaveRejected(BreakerEvent):
    """The event of a call that the breaker admitted in shadow mode and would have refused without shadow mode.

    Attributes:
        state: The state of the circuit under the override ``shadow``.
        retry_after: Seconds until the circuit would have admitted a call.
        reason: Why the breaker would have refused the call: ``"state"`` or ``"hold"``.
    """

    state: State
    retry_after: float
    reason: str


@dataclass(frozen=True, slots=True)
class WouldHaveOpened(BreakerEvent):
    """The event of a circuit that opened in shadow mode, so the breaker still admits every call.

    An operation of this process opened the circuit. The event follows `Opened`, which gives the state of the circuit
    under the override ``shadow``.

    Attributes:
        snapshot: The breaker after the operation.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class OverrideSet(BreakerEvent):
    """The event of an override that this process set.

    Attributes:
        snapshot: The breaker after the operation. The snapshot has the mode, the end, the author and the reason of the
            override.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class OverrideCleared(BreakerEvent):
    """The event of an override that this process removed.

    Attributes:
        by: The person or program that removed the override.
    """

    by: str


@dataclass(frozen=True, slots=True)
class CallFinished(BreakerEvent):
    """The event of a guarded call that ended.

    The breaker sends this event before it reports the outcome to the store. A call that was admitted by hand has no
    such event.

    Attributes:
        verdict: The verdict on the call: success, failure, or none (the call does not count).
        seconds: The duration of the call in seconds, without the time that the breaker spent on the store.
    """

    verdict: Verdict
    seconds: float


@dataclass(frozen=True, slots=True)
class ProbeClaimed(BreakerEvent):
    """The event of a probe that this process claimed.

    Attributes:
        permit: The permit of the probe's owner.
        took_over: Whether the circuit was half_open before the claim, because the probe was free or the lease of its
            former owner had ended. ``False`` if the circuit was open.
    """

    permit: Permit
    took_over: bool


class ProbeLost(BreakerEvent):
    """The event of a claim that failed because another caller claimed the probe first."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ProbeExpired(BreakerEvent):
    """The event of a probe that this process settled or renewed too late.

    Another caller owned the probe by then, or the circuit had changed, so the operation had no effect.

    Attributes:
        permit: The permit of the late owner.
    """

    permit: Permit


@dataclass(frozen=True, slots=True)
class ProbeStalled(BreakerEvent):
    """The event of a stalled probe: its call showed no progress for ten leases, so this process stopped the renewals.

    When the lease has ended, another caller may claim the probe. Signs of progress are `CircuitBreaker.progress`,
    `CircuitBreaker.renew` and each chunk of a response that a client integration receives.

    Attributes:
        permit: The permit of the stalled call.
    """

    permit: Permit


@dataclass(frozen=True, slots=True)
class StoreDegraded(BreakerEvent):
    """The event of a store that stopped answering.

    From now on the outage policy determines which calls the breaker admits.

    Attributes:
        error: The class name of the store's error. The event does not have the text, because the text may hold secrets.
    """

    error: str


class StoreRecovered(BreakerEvent):
    """The event of a store that answers again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ViewRefreshed(BreakerEvent):
    """The event of a read that refreshed this process's view of the breakers in use.

    Attributes:
        name: The name of the breaker that was read the longest ago.
        staleness: The age of that breaker's view in seconds, just before the read.
    """

    staleness: float


Listener = Callable[[BreakerEvent], object]
"""The type of a listener: a function that the breaker calls with each event."""

_CHANGES: dict[State, type[StateChanged]] = {
    State.OPEN: Opened,
    State.HALF_OPEN: HalfOpened,
    State.CLOSED: Closed,
}


def change_of(transition: Transition) -> StateChanged | None:
    """Return the event of a state change.

    Args:
        transition: The transition that a store returned.

    Returns:
        `Opened`, `HalfOpened` or `Closed`; ``None`` if the transition did not change the state.
    """
    if not transition.changed:
        return None
    snapshot = transition.snapshot
    return _CHANGES[snapshot.state](snapshot.name, transition.previous_state, snapshot)
