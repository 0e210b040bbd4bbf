"""Whether a call may go through: one pure rule over a snapshot and the clock.

Precedence: an override first, then a hold, then the state. The rules that write (`core.rules`) read neither overrides
nor holds, except `claim_probe`; so the state machine goes on underneath an override.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

from cbstore_sql.core.model import Snapshot, State

UNKNOWN_WAIT = 60.0
"""``retry_after`` in seconds if the end is unknown: a breaker that is locked open without an expiry."""

FIRST_SHARE = 0.1
"""The share of calls that a ramp admits at its beginning."""


class Action(Enum):
    """What a caller may do."""

    ADMIT = "admit"
    CLAIM = "claim"
    REFUSE = "refuse"


Reason = Literal["state", "hold", "override"]
"""What decided: the circuit's state, a hold, or an override."""


class Admission(NamedTuple):
    """The answer to "may this call go through?".

    Attributes:
        action: `Action.ADMIT`: make the call. `Action.CLAIM`: claim the probe first. `Action.REFUSE`: do not call.
        reason: What decided.
        retry_after: Seconds until a refused call may be tried again; 0.0 for the other actions.
        always: Whether the call goes through even if its claim of the probe is lost: under the overrides ``closed``
            and ``shadow``.
        shadowed: Under the override ``shadow``: the admission without the override. Otherwise ``None``.
    """

    action: Action
    reason: Reason = "state"
    retry_after: float = 0.0
    always: bool = False
    shadowed: Admission | None = None

    @property
    def would_refuse(self) -> bool:
        """Whether only the override ``shadow`` lets the call through."""
        return self.shadowed is not None and self.shadowed.action is Action.REFUSE


def admission(snapshot: Snapshot, now: float | None = None) -> Admission:
    """Decide about one call.

    Args:
        snapshot: The breaker as the store gave it.
        now: Unix seconds by the store's clock; ``None`` means ``snapshot.as_of``. For a cached snapshot: ``as_of``
            plus the seconds that have passed since.
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
    """Return the share of calls to admit after the circuit was closed, or after a hold ended: 0.1 to 1.

    The share grows linearly over ``ramp_up`` seconds. A reset clears both moments, so it skips the ramp.

    Args:
        snapshot: The breaker as the store gave it.
        ramp_up: The length of the ramp, seconds; 0 means no ramp.
        now: As in `admission`.
    """
    moment = snapshot.as_of if now is None else now
    start = ramp_start(snapshot)
    if ramp_up <= 0.0 or start == 0.0 or moment >= start + ramp_up or snapshot.override_at(moment):
        return 1.0
    # A start in the future (the database's clock was set back) is the start of the ramp.
    return FIRST_SHARE + (1.0 - FIRST_SHARE) * max(0.0, moment - start) / ramp_up


def ramp_start(snapshot: Snapshot) -> float:
    """Return when the last ramp began or begins, Unix seconds; 0.0 means never."""
    return max(snapshot.closed_at, snapshot.hold_until)


def effective_state(snapshot: Snapshot, now: float | None = None) -> tuple[State, float]:
    """Return the state that callers see, and the end of its open time in Unix seconds.

    For code that knows states only: an override or a hold appears as the state that has the same effect.
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
