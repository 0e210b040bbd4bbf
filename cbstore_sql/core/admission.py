"""Whether a breaker admits a call: one pure rule over a snapshot and the clock.

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
    """An answer to a caller who wants to make a call: make the call, claim the probe first, or do not call."""

    ADMIT = "admit"
    CLAIM = "claim"
    REFUSE = "refuse"


Reason = Literal["state", "hold", "override"]
"""The reason of an admission: the circuit's state, a hold, or an override."""


class Admission(NamedTuple):
    """A decision whether a breaker admits a call, with the reason of the decision.

    Attributes:
        action: `Action.ADMIT`: make the call. `Action.CLAIM`: claim the probe first. `Action.REFUSE`: do not call.
        reason: What led to `action`: the state of the circuit, a hold or an override.
        retry_after: Seconds until a caller may repeat a refused call; 0.0 for the other actions.
        always: Whether the caller makes the call even if another caller wins the probe. ``True`` under the overrides
            ``closed`` and ``shadow``.
        shadowed: The decision that the breaker would have made without the override, if the override is ``shadow``.
            Otherwise ``None``.
    """

    action: Action
    reason: Reason = "state"
    retry_after: float = 0.0
    always: bool = False
    shadowed: Admission | None = None

    @property
    def would_refuse(self) -> bool:
        """Whether the breaker would refuse the call without the override ``shadow``."""
        return self.shadowed is not None and self.shadowed.action is Action.REFUSE


def admission(snapshot: Snapshot, now: float | None = None) -> Admission:
    """Return whether a breaker admits a call, and why.

    Args:
        snapshot: The breaker as the store returned it.
        now: Unix seconds by the store's clock. ``None`` means ``snapshot.as_of``. For a cached snapshot, pass ``as_of``
            plus the seconds since the read.
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


def ramp_share(snapshot: Snapshot, ramp_up: float, now: float | None = None) -> float:
    """Return the share of calls to admit after the circuit closed or after a hold ended, from 0.1 to 1.

    The share grows linearly over ``ramp_up`` seconds. A reset clears the moment of closing and the hold, so no ramp
    follows a reset.

    Args:
        snapshot: The breaker as the store returned it.
        ramp_up: The length of the ramp in seconds; 0 means no ramp.
        now: Unix seconds by the store's clock; see `admission`. ``None`` means ``snapshot.as_of``.
    """
    moment = snapshot.as_of if now is None else now
    start = ramp_start(snapshot)
    if ramp_up <= 0.0 or start == 0.0 or moment >= start + ramp_up or snapshot.override_at(moment):
        return 1.0
    # If the start is in the future (the database's clock was set back), the share is that of the start of the ramp.
    return FIRST_SHARE + (1.0 - FIRST_SHARE) * max(0.0, moment - start) / ramp_up


def ramp_start(snapshot: Snapshot) -> float:
    """Return the start of the last or next ramp in Unix seconds; 0.0 means that there is no ramp.

    A ramp starts when a probe closes the circuit, or when a hold ends. The later of these two moments counts.

    Args:
        snapshot: The breaker as the store returned it.
    """
    return max(snapshot.closed_at, snapshot.hold_until)


def effective_state(snapshot: Snapshot, now: float | None = None) -> tuple[State, float]:
    """Return the state that callers see, and the end of the open time in Unix seconds.

    This function is for code that knows only states. An override or a hold appears as the state that has the same
    effect.

    Args:
        snapshot: The breaker as the store returned it.
        now: Unix seconds by the store's clock; see `admission`. ``None`` means ``snapshot.as_of``.

    Returns:
        The state and the end of the open time. The end is 0.0 if an override closes the circuit.
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
