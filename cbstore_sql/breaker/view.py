"""What this process last saw of the breakers it uses, and for how long that may be trusted.

A healthy call is answered from here without I/O and without a lock, and so is a refusal until the circuit's
deadline. The promise is a bound: what is older than ``max_staleness`` is not used, and the call asks the store. Age
counts from the moment before the store was asked, on the steady local clock, so neither a slow answer nor a step of
any wall clock can stretch it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic

from cbstore_sql.breaker.decision import needs_decision
from cbstore_sql.core.model import Permit, Snapshot, State
from cbstore_sql.core.policy import DEFAULT_POLICY
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.runtime.fork import after_fork_in_child

DEFAULT_MAX_STALENESS = 0.25
"""Seconds for which what was last seen may answer, unless a breaker is told otherwise."""

# What is in use is read again as late as will do: this share of the bound is kept for asking, and more where answers
# take long, up to half of it. Of the slowest answer of late two must find room, each with its thread woken late.
_LEAST_MARGIN, _LARGEST_MARGIN = 0.2, 0.5
_SLOWEST_ANSWERS = 4.0

# What an answer took is forgotten by a tenth with each that comes after it.
_REMEMBERED = 0.9

# Unused for this many refreshes, a breaker is not read again.
_IDLE_REFRESHES = 25


class _Seen:
    """One breaker as it was seen; never changed but for the mark that it is in use."""

    __slots__ = (
        "asked_at",
        "clean",
        "fresh_until",
        "generation",
        "idle",
        "permit",
        "snapshot",
        "state",
        "used",
    )

    def __init__(self, snapshot: Snapshot, asked_at: float, max_staleness: float, idle: int, *, plain: bool) -> None:
        closed = snapshot.state is State.CLOSED
        self.snapshot = snapshot
        self.state = snapshot.state
        self.generation = snapshot.generation
        self.permit = snapshot.permit if closed and plain else None
        self.clean = closed and snapshot.failure_count == 0 and snapshot.probe_token == ""
        self.asked_at = asked_at
        self.fresh_until = asked_at + max_staleness
        if snapshot.active_override and snapshot.override_until:
            self.fresh_until = min(self.fresh_until, asked_at + snapshot.override_until - snapshot.as_of)
        self.used = False
        self.idle = idle

    def distrusted(self, now: float) -> _Seen:
        """Return a copy that answers nothing, and that only an answer to a later question replaces."""
        copy = _Seen(self.snapshot, now, 0.0, self.idle, plain=False)
        copy.clean = False
        copy.fresh_until = -inf
        copy.used = self.used
        return copy


class View:
    """The breakers in use, as this process last saw them.

    Args:
        max_staleness: Seconds after which what was seen is not used any more; more than 0.
        clock: The steady clock, seconds.

    Attributes:
        clock: As given.
        max_staleness: As given.
        needs_decision: Asked about each snapshot: whether calls through the circuit need more than its state. Then
            `fresh_permit` admits none of them.

    Raises:
        InvalidPolicyError: The bound is no such number.
    """

    def __init__(self, max_staleness: float, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.needs_decision: Callable[[Snapshot], bool] = _is_overridden_or_held
        self.max_staleness = max_staleness
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

    def answered(self, asked_at: float) -> None:
        """Note how long a refresh took that asked at a moment, by the view's clock, seconds."""
        self._slowest = max(self.clock() - asked_at, self._slowest * _REMEMBERED)

    def fresh_permit(self, name: str) -> Permit | None:
        """Return the permit of a call through a circuit seen closed, or ``None``: ask the store."""
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

    def is_clean(self, permit: Permit) -> bool:
        """Whether a success through this permit is known to have nothing to clear."""
        seen = self._seen.get(permit.name)
        return (
            seen is not None
            and seen.clean
            and seen.generation == permit.generation
            and self.clock() <= seen.fresh_until
        )

    def record(self, snapshot: Snapshot, asked_at: float) -> None:
        """Take in what the store answered.

        Args:
            snapshot: The breaker; a higher generation than the one known wins, then the later question.
            asked_at: Before the store was asked, by the view's clock, seconds.
        """
        with self._lock:
            known = self._seen.get(snapshot.name)
            if known is not None and not _supersedes(snapshot, asked_at, known):
                return
            idle = known.idle if known else 0
            plain = not self.needs_decision(snapshot)
            self._seen[snapshot.name] = _Seen(snapshot, asked_at, self.max_staleness, idle, plain=plain)

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
        with self._lock:
            for name, seen in list(self._seen.items()):
                seen.idle = 0 if seen.used else seen.idle + 1
                seen.used = False
                if seen.idle > _IDLE_REFRESHES:
                    del self._seen[name]
            return list(self._seen)

    def generations(self) -> Mapping[str, int]:
        """Return the generation of each breaker in use, as it is known."""
        return {name: seen.generation for name, seen in list(self._seen.items())}

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
        InvalidPolicyError: The bound is no number of seconds from 0.
    """
    return View(max_staleness) if check_seconds("max_staleness", max_staleness) > 0 and needed else None


def _is_overridden_or_held(snapshot: Snapshot) -> bool:
    return needs_decision(snapshot, DEFAULT_POLICY)


def _supersedes(snapshot: Snapshot, asked_at: float, known: _Seen) -> bool:
    if snapshot.generation == known.generation:
        return asked_at >= known.asked_at
    # A breaker that was forgotten begins again at generation 0; what was known of it ends with its freshness.
    return snapshot.generation > known.generation or asked_at > known.fresh_until
