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
    """Admit a call, or refuse it, or find that it must claim the probe first.

    Args:
        snapshot: The breaker.
        now: The store's clock, Unix seconds.
        policy: The breaker's policy.
        emit: Called with the events.
        ramps: Decides which calls a ramp admits.
        probes: See `probes_of_caller`. A call inside the probe that the row shows is part of it: it is admitted, and
            its permit reports nothing.

    Returns:
        The permit, or ``None``: claim the probe.

    Raises:
        CircuitBreakerOpenError: The call is refused.
    """
    decided = admission(snapshot, now)
    if decided.action is Action.REFUSE:
        if decided.reason == "state" and snapshot.state is State.HALF_OPEN and snapshot.probe_token in probes:
            return UnreportedPermit(snapshot.name, snapshot.generation)
        refuse_call(snapshot, decided, emit)
    if decided.action is Action.CLAIM:
        return None
    wait = ramps.refusal(snapshot, policy.ramp_up, now) if decided.reason == "state" else None
    if wait is not None:
        emit(Rejected(snapshot.name, State.CLOSED, wait, "ramp_up"))
        raise _refusal(snapshot.name, State.CLOSED, wait, "ramp_up")
    return pass_anyway(snapshot, decided, emit)


def pass_anyway(snapshot: Snapshot, decided: Admission, emit: Emit) -> Permit:
    """Return the permit of a call that goes through, whatever the state is.

    Through a circuit that is not closed, only an override lets it: the state machine goes on by its probes alone, so
    the outcome of this call is not reported.
    """
    if decided.shadowed is not None and decided.would_refuse:
        emit(WouldHaveRejected(snapshot.name, snapshot.state, decided.shadowed.retry_after, decided.shadowed.reason))
    if snapshot.state is State.CLOSED:
        return snapshot.permit
    return UnreportedPermit(snapshot.name, snapshot.generation)


def refuse_call(snapshot: Snapshot, decided: Admission, emit: Emit) -> NoReturn:
    """Refuse a call.

    Raises:
        CircuitBreakerOpenError: Always.
    """
    # Callers know states only: an override or a hold has the effect of an open circuit.
    state = snapshot.state if decided.reason == "state" else State.OPEN
    emit(Rejected(snapshot.name, state, decided.retry_after, decided.reason))
    raise _refusal(snapshot.name, state, decided.retry_after, decided.reason)


def needs_decision(snapshot: Snapshot, policy: BreakerPolicy) -> bool:
    """Whether calls through a circuit seen closed need more than its permit.

    A ramp, a hold, a shadow's event, or a permit that knows when the call was admitted.
    """
    decided = admission(snapshot)
    ramping = policy.ramp_up > 0.0 and ramp_share(snapshot, policy.ramp_up) < 1.0
    return decided.action is not Action.ADMIT or decided.would_refuse or ramping or policy.slow_after is not None


def _refusal(name: str, state: State, retry_after: float, reason: str) -> CircuitBreakerOpenError:
    why = _WHY.get(reason)
    message = "" if why is None else f"circuit breaker {name!r} {why}; retry after {retry_after:.3f} s"
    if reason == "state" and state is State.HALF_OPEN and holds_probe(name):
        message = (
            f"circuit breaker {name!r} is {state}; retry after {retry_after:.3f} s. This process holds the probe. "
            f"If this call is part of it, {_REMEDY}"
        )
    return CircuitBreakerOpenError(message, name=name, state=state.value, retry_after=retry_after, reason=reason)
