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
    """The base class of all events. A breaker passes each event to its listeners.

    Attributes:
        name: The breaker's name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class StateChanged(BreakerEvent):
    """The base class of the events `Opened`, `HalfOpened` and `Closed`: this process changed the state of a circuit.

    Changes that other processes make emit no event in this process.

    Attributes:
        previous_state: The state before the change.
        snapshot: The breaker after the change: its state, counts and times.
    """

    previous_state: State
    snapshot: Snapshot


# The next three classes add no field, so they inherit the dataclass methods. A decorator on each class would cost time
# at import.
class Opened(StateChanged):
    """The event that a breaker emits when this process opens a circuit that was closed or half_open."""

    __slots__ = ()


class HalfOpened(StateChanged):
    """The event that a breaker emits when an open circuit becomes half_open.

    This happens when this process becomes the owner of the probe, the call that tests the dependency.
    """

    __slots__ = ()


class Closed(StateChanged):
    """The event that a breaker emits when this process closes a circuit that was half_open or open."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rejected(BreakerEvent):
    """The event that a breaker emits when it rejects a call.

    Attributes:
        state: The state of the circuit: open; half_open while another caller makes the probe; closed while a
            ``ramp_up`` admits only a share of the calls.
        retry_after: Seconds until the breaker may admit a call; 0.0 means now.
        reason: Why the breaker rejected the call: ``"state"`` (the state of the circuit), ``"override"`` (an operator
            has set the override ``open``), ``"hold"`` (the dependency asked callers to wait) or ``"ramp_up"``.
    """

    state: State
    retry_after: float
    reason: str = "state"


@dataclass(frozen=True, slots=True)
class WouldHaveRejected(BreakerEvent):
    """The event that a breaker emits when it admits a call only because of shadow mode.

    In shadow mode, an operator's override, the breaker records everything but rejects no call.

    Attributes:
        state: The state of the circuit, which has no effect in shadow mode.
        retry_after: Seconds until the breaker would have admitted a call without shadow mode.
        reason: Why the breaker would have rejected the call: ``"state"`` (the state of the circuit) or ``"hold"`` (the
            dependency asked callers to wait).
    """

    state: State
    retry_after: float
    reason: str


@dataclass(frozen=True, slots=True)
class WouldHaveOpened(BreakerEvent):
    """The event that a breaker emits when this process opens a circuit in shadow mode.

    In shadow mode, an operator's override, the breaker still admits every call. The event `Opened` comes just before
    this one.

    Attributes:
        snapshot: The breaker after the change: its state, counts and times.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class OverrideSet(BreakerEvent):
    """The event that a breaker emits when this process sets an override.

    An override is an operator's decision that replaces the state of the circuit for a while.

    Attributes:
        snapshot: The breaker after the operation. It contains the mode, the end, the author and the reason of the
            override.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class OverrideCleared(BreakerEvent):
    """The event that a breaker emits when this process removes an override, so that calls follow the state again.

    Attributes:
        by: The person or program that removed the override.
    """

    by: str


@dataclass(frozen=True, slots=True)
class CallFinished(BreakerEvent):
    """The event that a breaker emits when a guarded call has ended.

    The breaker emits this event before it reports the outcome to the store. A call that the application admitted with
    ``admit`` has no such event.

    Attributes:
        verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
        seconds: The duration of the call in seconds, without the time that the breaker spent on the store.
    """

    verdict: Verdict
    seconds: float


@dataclass(frozen=True, slots=True)
class ProbeClaimed(BreakerEvent):
    """The event that a breaker emits when this process becomes the owner of the probe.

    The probe is the call that tests whether the dependency works again.

    Attributes:
        permit: The permit of the probe.
        took_over: ``True`` if the circuit was already half_open: an earlier owner released the probe or did not report
            in time. ``False`` if the circuit was open.
    """

    permit: Permit
    took_over: bool


class ProbeLost(BreakerEvent):
    """The event that a breaker emits when another caller becomes the owner of the probe first.

    The probe is the call that tests whether the dependency works again.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ProbeExpired(BreakerEvent):
    """The event that a breaker emits when this process reports or renews a probe too late.

    Another caller owned the probe by then, or the circuit had changed. So the report or the renewal had no effect.

    Attributes:
        permit: The permit of the late probe.
    """

    permit: Permit


@dataclass(frozen=True, slots=True)
class ProbeStalled(BreakerEvent):
    """The event that a breaker emits when it stops renewing the lease of a probe whose call shows no progress.

    This happens ten leases after the last sign of progress. When the lease has ended, another caller may become the
    owner of the probe. Signs of progress are `CircuitBreaker.progress`, `CircuitBreaker.renew` and each chunk of a
    response that a client integration receives.

    Attributes:
        permit: The permit of the stalled call.
    """

    permit: Permit


@dataclass(frozen=True, slots=True)
class StoreDegraded(BreakerEvent):
    """The event that a breaker emits when the store stops answering.

    From now on ``on_store_outage`` determines which calls the breaker admits.

    Attributes:
        error: The class name of the store's error. The event does not have the text, because the text may contain
            secrets.
    """

    error: str


class StoreRecovered(BreakerEvent):
    """The event that a breaker emits when the store answers again after an outage."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ViewRefreshed(BreakerEvent):
    """The event that a breaker emits after it has read all breakers in use from the store again.

    Attributes:
        name: The name of the breaker that was read the longest ago.
        staleness: The age in seconds of this process's copy of that breaker's state, just before the read.
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
    """Make the event for an operation that changed the state of a circuit.

    Args:
        transition: What the store returned: the state before the operation and the breaker after it.

    Returns:
        `Opened`, `HalfOpened` or `Closed`; ``None`` if the operation did not change the state.
    """
    if not transition.changed:
        return None
    snapshot = transition.snapshot
    return _CHANGES[snapshot.state](snapshot.name, transition.previous_state, snapshot)
