"""The decision about one call on a snapshot: `core.admission` with the events, the permit and the ramp."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from cbstore_sql.breaker.ramp_gate import RampGate
from cbstore_sql.breaker.reentrancy import holds_probe
from cbstore_sql.core.admission import Action, Admission, admission, ramp_share
from cbstore_sql.core.model import Permit, Snapshot, State, UnreportedPermit
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.events import BreakerEvent, Rejected, WouldHaveRejected

Emit = Callable[[BreakerEvent], None]

_WHY = {
    "override": "is locked open",
    "hold": "is on hold, as the dependency asked",
    "ramp_up": "was closed a moment ago and admits only some calls yet",
}


_REMEDY = "run it in the probe's context: executor.submit(contextvars.copy_context().run, function)"


def decide(
    snapshot: Snapshot,
    now: float,
    policy: BreakerPolicy,
    emit: Emit,
    *,
    ramps: RampGate,
    probes: frozenset[str] = frozenset(),
) -> Permit | None:
    """Decide by a snapshot of a breaker whether a call may go ahead.

    Args:
        snapshot: The breaker, as this process last saw it.
        now: The store's clock, Unix seconds.
        policy: The breaker's policy.
        emit: A function that is called with each event.
        ramps: The gate that admits a share of the calls after a circuit has closed.
        probes: The tokens of the probes that the caller is inside, from `probes_of_caller`. If the snapshot has one of
            them, the call is a part of that probe. Such a call is admitted, and its outcome is not reported.

    Returns:
        The permit if the call may go ahead. ``None`` if the probe is due, so the caller must try to become its owner.

    Raises:
        CircuitBreakerOpenError: The call is rejected.
    """
    decided = admission(snapshot, now)
    if decided.action is Action.REFUSE:
        if decided.reason == "state" and snapshot.state is State.HALF_OPEN and snapshot.probe_token in probes:
            return UnreportedPermit(snapshot.name, snapshot.generation)
        refuse_call(snapshot, decided, emit)
    if decided.action is Action.CLAIM:
        return None
    ramping = policy.ramp_up > 0.0 and decided.reason == "state"
    wait = ramps.refusal(snapshot, policy.ramp_up, now) if ramping else None
    if wait is not None:
        emit(Rejected(snapshot.name, State.CLOSED, wait, "ramp_up"))
        raise refusal(snapshot.name, State.CLOSED, wait, "ramp_up")
    return pass_anyway(snapshot, decided, emit)


def pass_anyway(snapshot: Snapshot, decided: Admission, emit: Emit) -> Permit:
    """Return the permit of an admitted call, and emit `WouldHaveRejected` if only shadow mode admits the call.

    If the circuit is not closed, only an override admits the call. The permit is then an `UnreportedPermit`: the
    outcome is not reported, because only probes may change such a circuit.

    Args:
        snapshot: The breaker.
        decided: The decision to admit the call, with what would have happened without shadow mode.
        emit: A function that is called with the event.
    """
    if decided.shadowed is not None and decided.would_refuse:
        emit(WouldHaveRejected(snapshot.name, snapshot.state, decided.shadowed.retry_after, decided.shadowed.reason))
    if snapshot.state is State.CLOSED:
        return snapshot.permit
    return UnreportedPermit(snapshot.name, snapshot.generation)


def refuse_call(snapshot: Snapshot, decided: Admission, emit: Emit) -> NoReturn:
    """Reject a call: emit `Rejected` and raise the error.

    Args:
        snapshot: The breaker.
        decided: The decision to reject the call, with the reason and ``retry_after``.
        emit: A function that is called with the event.

    Raises:
        CircuitBreakerOpenError: Always.
    """
    # The error shows a state only. An override or a hold has the effect of an open circuit.
    state = snapshot.state if decided.reason == "state" else State.OPEN
    emit(Rejected(snapshot.name, state, decided.retry_after, decided.reason))
    raise refusal(snapshot.name, state, decided.retry_after, decided.reason)


def needs_decision(snapshot: Snapshot, policy: BreakerPolicy) -> bool:
    """Return whether a call through a closed circuit must go through `decide`.

    It must do so while only a share of the calls is admitted (``ramp_up``), while the dependency has asked for a pause
    (a hold), in shadow mode (which only reports what it would refuse), and if the duration of the call is measured
    (``slow_after``). Every other call may use a permit made directly from the snapshot.

    Args:
        snapshot: The breaker, whose circuit is closed.
        policy: The breaker's policy.
    """
    if policy.slow_after is not None or snapshot.hold_until > snapshot.as_of:
        return True
    if policy.ramp_up > 0.0 and ramp_share(snapshot, policy.ramp_up) < 1.0:
        return True
    # A closed circuit without a hold admits every call, unless it is locked open.
    return snapshot.override == "open" and snapshot.active_override != ""


def is_clean(snapshot: Snapshot, policy: BreakerPolicy) -> bool:
    """Return whether the circuit is closed and has nothing that a success would clear or lower.

    Args:
        snapshot: The breaker.
        policy: The breaker's policy.
    """
    scored = policy.trip is not None and snapshot.score > 0.0
    closed = snapshot.state is State.CLOSED and snapshot.probe_token == ""
    return closed and snapshot.failure_count == 0 and not scored


def refusal(name: str, state: State, retry_after: float, reason: str = "state") -> CircuitBreakerOpenError:
    """Return the error for a refused call, with a message that fits the reason.

    Args:
        name: The breaker's name.
        state: The state of the circuit.
        retry_after: Seconds until the breaker may admit a call.
        reason: Why the breaker refuses the call; see `CircuitBreakerOpenError`.
    """
    why = _WHY.get(reason)
    message = "" if why is None else f"circuit breaker {name!r} {why}; retry after {retry_after:.3f} s"
    if reason == "state" and state is State.HALF_OPEN and holds_probe(name):
        message = (
            f"circuit breaker {name!r} is {state}; retry after {retry_after:.3f} s. This process holds the probe. "
            f"If this call is part of it, {_REMEDY}"
        )
    return CircuitBreakerOpenError(message, name=name, state=state.value, retry_after=retry_after, reason=reason)
