"""Whether a breaker lets a call through: functions that decide by a snapshot and a time.

Precedence: an override first, then a hold, then the state. Of the rules that write (`core.rules`), only `claim_probe`
reads overrides and holds, so the state machine goes on while an override is in force.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

from cbstore_sql.core.model import Snapshot, State

UNKNOWN_WAIT = 60.0
"""The ``retry_after`` in seconds of a breaker that an operator locked open without an expiry."""

FIRST_SHARE = 0.1
"""The share of calls that a ramp admits at its beginning."""


class Action(Enum):
    """What a caller may do: make the call, make it only as the probe, or not make it.

    ``ADMIT`` means: make the call. ``CLAIM`` means: first claim the probe (the one call that tests whether the
    dependency works again), and make the call if the claim succeeds. ``REFUSE`` means: do not make the call.
    """

    ADMIT = "admit"
    CLAIM = "claim"
    REFUSE = "refuse"


Reason = Literal["state", "hold", "override"]
"""What decided whether a call goes through: the circuit's state, a hold, or an override."""


class Admission(NamedTuple):
    """The decision whether a breaker lets a call through, with the reason of the decision.

    Attributes:
        action: What the caller may do; see `Action`.
        reason: ``"state"`` (the state of the circuit decided), ``"hold"`` (the dependency asked callers to wait) or
            ``"override"`` (the setting of an operator decided).
        retry_after: Seconds after which the caller may try a refused call again; 0.0 if the call was not refused.
        always: Whether the caller makes the call even if another caller gets the probe (the call that tests the
            dependency). ``True`` under the overrides ``closed`` and ``shadow``, which let every call through.
        shadowed: Under the override ``shadow``, the decision that the breaker would have made without the override.
            Otherwise ``None``.
    """

    action: Action
    reason: Reason = "state"
    retry_after: float = 0.0
    always: bool = False
    shadowed: Admission | None = None

    @property
    def would_refuse(self) -> bool:
        """Whether the call goes through only because of the override ``shadow``. Otherwise it would be refused."""
        return self.shadowed is not None and self.shadowed.action is Action.REFUSE


def admission(snapshot: Snapshot, now: float | None = None) -> Admission:
    """Decide whether a breaker lets a call through, and return the decision with its reason.

    An override (a setting of an operator) decides first, then a hold (a pause that the dependency asked for), then the
    state of the circuit.

    Args:
        snapshot: The breaker as the store returned it.
        now: The moment of the call, Unix seconds by the store's clock. ``None`` means ``snapshot.as_of``, the moment at
            which the store read the breaker. For a snapshot that is some seconds old, pass ``as_of`` plus its age.
    """
    moment = snapshot.as_of if now is None else now
    override = snapshot.override_at(moment)
    if override == "open":
        left = snapshot.override_until - moment if snapshot.override_until else UNKNOWN_WAIT
        return Admission(Action.REFUSE, "override", left)
    if override == "closed":
        return _admitted_anyway(_by_state(snapshot, moment))
    if override == "shadow":
        inner = _by_hold(snapshot, moment)
        return _admitted_anyway(inner)._replace(shadowed=inner)
    return _by_hold(snapshot, moment)


def open_wait(snapshot: Snapshot, now: float) -> float:
    """Return for how many seconds an open circuit refuses every call; 0 or less means that `admission` must decide.

    Most refused calls are refused by the state alone. They need only this part of `admission`.

    Args:
        snapshot: The breaker as the store returned it.
        now: The moment of the call, Unix seconds by the store's clock.
    """
    by_state = snapshot.state is State.OPEN and not snapshot.override and snapshot.hold_until <= now
    return snapshot.open_until - now if by_state else 0.0


def ramp_share(snapshot: Snapshot, ramp_up: float, now: float | None = None) -> float:
    """Return the share of calls to admit while a breaker returns to full traffic, from 0.1 to 1.

    After a probe has closed the circuit, or after a hold (a pause that the dependency asked for) has ended, the share
    grows evenly from 0.1 to 1 over ``ramp_up`` seconds. Without such a start, after a reset, and under an override, the
    share is 1.

    Args:
        snapshot: The breaker as the store returned it.
        ramp_up: The seconds over which the share grows; 0 means that the share is 1 at once.
        now: The moment of the call, Unix seconds by the store's clock. ``None`` means ``snapshot.as_of``, the moment at
            which the store read the breaker.
    """
    moment = snapshot.as_of if now is None else now
    start = ramp_start(snapshot)
    if ramp_up <= 0.0 or start == 0.0 or moment >= start + ramp_up or snapshot.override_at(moment):
        return 1.0
    # If the start is in the future (the database's clock was set back), the share is that of the start of the ramp.
    return FIRST_SHARE + (1.0 - FIRST_SHARE) * max(0.0, moment - start) / ramp_up


def ramp_start(snapshot: Snapshot) -> float:
    """Return the moment from which a breaker admits a growing share of calls, in Unix seconds.

    The growth starts when a probe closes the circuit, or when a hold (a pause that the dependency asked for) ends. The
    later of these two moments counts; it may be in the future. 0.0 means that neither has happened since the last
    reset.

    Args:
        snapshot: The breaker as the store returned it.
    """
    return max(snapshot.closed_at, snapshot.hold_until)


def effective_state(snapshot: Snapshot, now: float | None = None) -> tuple[State, float]:
    """Return one state that has the same effect as the circuit's state, its hold and its override together.

    This function is for code that knows only the three states. For example, a closed circuit with a hold (a pause that
    the dependency asked for) appears as open until the hold ends.

    Args:
        snapshot: The breaker as the store returned it.
        now: The moment of the question, Unix seconds by the store's clock. ``None`` means ``snapshot.as_of``, the
            moment at which the store read the breaker.

    Returns:
        The state, and the end of the current or last open time in Unix seconds. The end is 0.0 if the circuit has not
        opened since the last reset, or if an override lets every call through.
    """
    moment = snapshot.as_of if now is None else now
    if snapshot.override_at(moment) in ("closed", "shadow"):
        return State.CLOSED, 0.0
    decided = admission(snapshot, moment)
    if decided.action is Action.REFUSE and decided.reason != "state":
        return State.OPEN, moment + decided.retry_after
    return snapshot.state, snapshot.open_until


def _admitted_anyway(inner: Admission) -> Admission:
    action = Action.CLAIM if inner.action is Action.CLAIM else Action.ADMIT
    return Admission(action, "override", always=True)


def _by_hold(snapshot: Snapshot, now: float) -> Admission:
    inner = _by_state(snapshot, now)
    if snapshot.hold_until <= now:
        return inner
    return Admission(Action.REFUSE, "hold", max(snapshot.hold_until - now, inner.retry_after))


def _by_state(snapshot: Snapshot, now: float) -> Admission:
    if snapshot.state is State.CLOSED:
        return Admission(Action.ADMIT)
    blocked_until = snapshot.open_until if snapshot.state is State.OPEN else snapshot.probe_until
    if blocked_until <= now:
        return Admission(Action.CLAIM)
    return Admission(Action.REFUSE, retry_after=blocked_until - now)
