"""The breakers in use, as this process last saw them, and for how long that may be trusted.

A healthy call is admitted from here without I/O and without a lock, and so is a refusal until the circuit's
deadline. The promise is a bound: a snapshot older than ``max_staleness`` is not used, and the call asks the store. Age
counts from the moment before the store was asked, on the steady local clock, so neither a slow answer nor a step of
a wall clock can stretch it.

The success of a healthy call is not written either. The view remembers it, and the next report of this process
carries it; see `cbstore_sql.breaker.unreported`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from copy import copy
from math import inf
from time import monotonic

from cbstore_sql.breaker.decision import needs_decision
from cbstore_sql.breaker.unreported import UnreportedSuccesses
from cbstore_sql.core.model import Permit, Snapshot, State
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.runtime.fork import after_fork_in_child

DEFAULT_MAX_STALENESS = 0.25
"""Seconds for which the last known state of a breaker may answer, unless a breaker is given another bound."""

# A breaker in use is read again as late as possible: this share of the bound is kept for the question, and more if
# answers take long, up to half of it. It must hold two of the slowest recent answers, each with a thread woken late.
_LEAST_MARGIN, _LARGEST_MARGIN = 0.2, 0.5
_SLOWEST_ANSWERS = 4.0

# Exponential decay: each answer shrinks the remembered maximum by 10 %.
_REMEMBERED = 0.9

# A breaker that was not used for this many refreshes is not read again.
_IDLE_REFRESHES = 25

# Reports carry the successes of at least this many seconds, and of two refreshes where those take longer: a success
# of the process that failed counts, even if the refresh that would have sent it comes after the failure.
_SHORTEST_HORIZON = 0.5
_HORIZON_REFRESHES = 2.0


class _Seen:
    """One breaker as it was seen; only the marks of its use change."""

    __slots__ = (
        "add_success",
        "asked_at",
        "clean",
        "fresh_until",
        "idle",
        "permit",
        "quiet",
        "refreshed_at",
        "snapshot",
        "successes",
        "used",
    )

    def __init__(self, snapshot: Snapshot, asked_at: float, max_staleness: float, policy: BreakerPolicy) -> None:
        closed = snapshot.state is State.CLOSED
        self.snapshot = snapshot
        # Where an admission takes more than the state, it is decided elsewhere: see `View.fresh_snapshot`.
        self.permit = snapshot.permit if closed and not needs_decision(snapshot, policy) else None
        scored = policy.trip is not None and snapshot.score > 0.0
        self.clean = closed and snapshot.failure_count == 0 and not scored and snapshot.probe_token == ""
        self.quiet = self.clean
        self.asked_at = asked_at
        self.fresh_until = asked_at + max_staleness
        if snapshot.active_override and snapshot.override_until:
            self.fresh_until = min(self.fresh_until, asked_at + snapshot.override_until - snapshot.as_of)
        self.refreshed_at = -inf
        self.used = False
        self.idle = 0

    def follow(self, known: _Seen | None) -> None:
        """Take over what an older sighting of the same breaker has gathered."""
        self.successes = UnreportedSuccesses()
        if known is not None:
            self.idle = known.idle
            self.refreshed_at = max(self.refreshed_at, known.refreshed_at)
            if known.snapshot.generation == self.snapshot.generation:
                self.successes = known.successes
        self.add_success = self.successes.add

    def distrusted(self, now: float) -> _Seen:
        """Return a copy that answers nothing, and that only an answer to a later question replaces."""
        seen = copy(self)
        seen.permit = None
        seen.clean = seen.quiet = False
        seen.asked_at, seen.fresh_until = now, -inf
        return seen


class View:
    """The breakers in use, as this process last saw them.

    Args:
        max_staleness: Seconds after which a snapshot is not used any more; more than 0.
        clock: The steady clock, seconds.

    Attributes:
        max_staleness: As given.
        clock: As given.
        policy_for: Returns the policy of one breaker.

    Raises:
        InvalidPolicyError: ``max_staleness`` is not such a number.
    """

    def __init__(self, max_staleness: float, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.max_staleness = max_staleness
        self.policy_for: Callable[[str], BreakerPolicy] = lambda _: DEFAULT_POLICY
        self._slowest = 0.0
        self._seen: dict[str, _Seen] = {}
        # Reentrant: a signal handler may make a guarded call in the middle of an update of the same thread.
        self._lock = threading.RLock()
        after_fork_in_child(self._reset_after_fork)

    @property
    def period(self) -> float:
        """Seconds from one answer to the next refresh."""
        least, largest = _LEAST_MARGIN * self.max_staleness, _LARGEST_MARGIN * self.max_staleness
        return self.max_staleness - min(max(_SLOWEST_ANSWERS * self._slowest, least), largest)

    @property
    def horizon(self) -> float:
        """How old a success that a report carries may be, seconds."""
        return max(_SHORTEST_HORIZON, _HORIZON_REFRESHES * self.period)

    def answered(self, asked_at: float) -> None:
        """Note how long a refresh took that asked at a moment, by the view's clock, seconds."""
        self._slowest = max(self.clock() - asked_at, self._slowest * _REMEMBERED)

    def fresh_permit(self, name: str) -> Permit | None:
        """Return the permit of a call through a circuit seen closed, or ``None``: ask further."""
        seen = self._seen.get(name)
        if seen is None:
            return None
        seen.used = True
        return seen.permit if self.clock() <= seen.fresh_until else None

    def fresh_snapshot(self, name: str) -> tuple[Snapshot, float] | None:
        """Return a breaker as it was seen and what the store's clock shows now, or ``None``: ask the store.

        Asked after `fresh_permit`, which marks the breaker as in use.
        """
        seen, now = self._seen.get(name), self.clock()
        if seen is None or now > seen.fresh_until:
            return None
        return seen.snapshot, seen.snapshot.as_of + (now - seen.asked_at)

    def shows_open(self, name: str) -> bool:
        """Whether a circuit was seen open or half-open."""
        seen = self._seen.get(name)
        if seen is None or self.clock() > seen.fresh_until:
            return False
        return seen.snapshot.state is not State.CLOSED

    def takes_success(self, permit: Permit) -> bool:
        """Take a success that the store does not need now; the next report carries it.

        Returns:
            Whether the success is taken. ``False``: report it.
        """
        seen = self._seen.get(permit.name)
        if seen is None or not seen.quiet or seen.snapshot.generation != permit.generation:
            return False
        now = self.clock()
        if now > seen.fresh_until:
            return False
        seen.add_success(now)
        return True

    def take_successes(self, permit: Permit) -> list[float]:
        """Remove the unreported successes of a breaker, for one report.

        Args:
            permit: The permit of the report. Successes that belong to another generation stay.

        Returns:
            For each success of the report, when it ended: seconds by the view's clock.
        """
        seen = self._seen.get(permit.name)
        if seen is None or seen.snapshot.generation != permit.generation or permit.is_probe:
            return []
        return seen.successes.take(self.clock() - self.horizon)

    def successes_since(self, name: str, since: float) -> int:
        """Return how many unreported successes of a breaker ended after a moment of the view's clock."""
        seen = self._seen.get(name)
        return 0 if seen is None else seen.successes.count_since(since)

    def put_back_successes(self, permit: Permit, times: list[float]) -> None:
        """Make successes unreported again; only for a report that surely had no effect."""
        seen = self._seen.get(permit.name)
        if seen is not None and seen.snapshot.generation == permit.generation:
            seen.successes.put_back(times)

    def unreported(self) -> list[Permit]:
        """Return a permit of each circuit that was seen closed but not clean, and has unreported successes."""
        since = self.clock() - self.horizon
        return [
            Permit(name, seen.snapshot.generation)
            for name, seen in list(self._seen.items())
            if not seen.clean
            and seen.fresh_until > -inf
            and seen.snapshot.state is State.CLOSED
            and seen.successes.any_since(since)
        ]

    def record(self, snapshot: Snapshot, asked_at: float, *, refreshed: bool = False) -> None:
        """Take in what the store answered.

        Args:
            snapshot: The breaker; a higher generation than the one known wins, then the later question.
            asked_at: Before the store was asked, by the view's clock, seconds.
            refreshed: Whether this is the answer to a refresh.
        """
        policy = self.policy_for(snapshot.name)
        seen = _Seen(snapshot, asked_at, self.max_staleness, policy)
        if refreshed:
            seen.refreshed_at = asked_at
        with self._lock:
            known = self._seen.get(snapshot.name)
            if known is not None and not _supersedes(snapshot, asked_at, known):
                return
            seen.follow(known)
            # A score falls slowly, so most of its successes find it above zero: they wait for a refresh to send them,
            # if refreshes do come. A count of failures in a row is cleared at once.
            defers = policy.trip is not None and asked_at - seen.refreshed_at <= _HORIZON_REFRESHES * self.period
            seen.quiet = seen.clean or (defers and snapshot.state is State.CLOSED)
            self._seen[snapshot.name] = seen

    def record_many(self, snapshots: Mapping[str, Snapshot], asked_at: float) -> None:
        """Take in what a batched read answered; see `record`."""
        for snapshot in snapshots.values():
            self.record(snapshot, asked_at)

    def forget(self, name: str) -> None:
        """Stop trusting what is known of one breaker: the next call asks the store.

        Its generation stays known, so that an answer to an earlier question, which is still under way, cannot bring
        back an earlier state.
        """
        with self._lock:
            known = self._seen.get(name)
            if known is not None:
                self._seen[name] = known.distrusted(self.clock())

    def clear(self) -> None:
        """Drop what is known of every breaker."""
        with self._lock:
            self._seen = {}

    def in_use(self) -> list[str]:
        """Return the names to read again; those long unused are dropped. Called once for each refresh."""
        since = self.clock() - self.horizon
        with self._lock:
            for name, seen in list(self._seen.items()):
                seen.idle = 0 if seen.used else seen.idle + 1
                seen.used = False
                seen.successes.drop_before(since)
                if seen.idle > _IDLE_REFRESHES:
                    del self._seen[name]
            return list(self._seen)

    def generations(self) -> Mapping[str, int]:
        """Return the generation of each breaker in use, as it is known."""
        return {name: seen.snapshot.generation for name, seen in list(self._seen.items())}

    def snapshots(self) -> list[tuple[Snapshot, float]]:
        """Return what is known and trusted of each breaker, with the moment before the store was asked."""
        return [(seen.snapshot, seen.asked_at) for seen in list(self._seen.values()) if seen.fresh_until > -inf]

    def staleness(self) -> Mapping[str, float]:
        """Return how old what is known of each breaker in use is, seconds."""
        now = self.clock()
        return {name: now - seen.asked_at for name, seen in list(self._seen.items())}

    def _reset_after_fork(self) -> None:
        """Forget everything, in a process just forked: a lock may have been held by a thread that is not here."""
        self._lock = threading.RLock()
        self._seen = {}


def make_view(max_staleness: float, *, needed: bool) -> View | None:
    """Make a view, or none where the bound is 0 or the store itself is as near.

    Raises:
        InvalidPolicyError: ``max_staleness`` is negative or not a finite number.
    """
    return View(max_staleness) if check_seconds("max_staleness", max_staleness) > 0 and needed else None


def _supersedes(snapshot: Snapshot, asked_at: float, known: _Seen) -> bool:
    if snapshot.generation == known.snapshot.generation:
        return asked_at >= known.asked_at
    # A breaker that was forgotten begins again at generation 0; what was known of it ends with its freshness.
    return snapshot.generation > known.snapshot.generation or asked_at > known.fresh_until
