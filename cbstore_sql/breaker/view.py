"""The last snapshots of the breakers in use, as this process saw them, and the time for which they may be used.

The view admits a healthy call without I/O and without a lock. It also refuses calls until an open circuit's open time
is over. A snapshot older than ``max_staleness`` is not used, and the call asks the store. The age of a snapshot counts
from the moment before the store was asked, on the steady local clock. So neither a slow answer nor a step of the wall
clock can lengthen the age limit.

The view also keeps the success of a healthy call, instead of writing it. The next report of this process carries the
success; see `cbstore_sql.breaker.unreported`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic

from cbstore_sql.breaker.seen import Seen
from cbstore_sql.core.model import Permit, Snapshot, State
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.runtime.fork import after_fork_in_child

DEFAULT_MAX_STALENESS = 0.25
"""The default of ``max_staleness``: seconds for which the last snapshot of a breaker may be used."""

# A breaker in use is read again as late as possible. The refresh begins before ``max_staleness`` is over, earlier by at
# least 0.2 and at most 0.5 of ``max_staleness``. The margin leaves time for two of the slowest recent answers, each
# with a thread that wakes up late.
_LEAST_MARGIN, _LARGEST_MARGIN = 0.2, 0.5
_SLOWEST_ANSWERS = 4.0

# Exponential decay: each answer shrinks the remembered maximum by 10 %.
_REMEMBERED = 0.9

# A breaker that was not used for this many refreshes is not read again.
_IDLE_REFRESHES = 25

# Reports carry the successes of at least this many seconds, or of two refreshes if those take longer. So a success
# before a failure counts, even if the refresh that would have sent the success comes after the failure.
_SHORTEST_HORIZON = 0.5
_HORIZON_REFRESHES = 2.0


class View:
    """This process's copy of the shared state: the last snapshot of each breaker that it uses.

    A snapshot that is fresh (not older than ``max_staleness``) can admit or reject a call without I/O. The view also
    keeps the successes of healthy calls until a report includes them.

    Args:
        max_staleness: Seconds for which a snapshot is fresh; more than 0.
        clock: A function that returns seconds. Only differences between them matter.

    Attributes:
        max_staleness: Seconds for which a snapshot is fresh.
        clock: The clock of the view.
        policy_for: A function that returns the policy of one breaker.
    """

    def __init__(self, max_staleness: float, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.max_staleness = max_staleness
        self.policy_for: Callable[[str], BreakerPolicy] = lambda _: DEFAULT_POLICY
        self._slowest = 0.0
        self._seen: dict[str, Seen] = {}
        # Reentrant: a signal handler may make a guarded call in the middle of an update of the same thread.
        self._lock = threading.RLock()
        after_fork_in_child(self._reset_after_fork)

    @property
    def period(self) -> float:
        """How many seconds to wait after a refresh before the next one begins.

        It is shorter than ``max_staleness``, so that a slow store answers before the snapshots are too old.
        """
        least, largest = _LEAST_MARGIN * self.max_staleness, _LARGEST_MARGIN * self.max_staleness
        return self.max_staleness - min(max(_SLOWEST_ANSWERS * self._slowest, least), largest)

    @property
    def horizon(self) -> float:
        """The largest age in seconds of a success that a report to the store may still include."""
        return max(_SHORTEST_HORIZON, _HORIZON_REFRESHES * self.period)

    def answered(self, asked_at: float) -> None:
        """Take note of how long a refresh took, so that the next one begins early enough; see `period`.

        Args:
            asked_at: The moment just before the store call, in seconds of the view's clock. The refresh ends now.
        """
        self._slowest = max(self.clock() - asked_at, self._slowest * _REMEMBERED)

    def fresh_permit(self, name: str) -> Permit | None:
        """Admit a call at once if a fresh snapshot shows that the circuit is closed. Mark the breaker as in use.

        Args:
            name: The breaker's name.

        Returns:
            The permit. ``None`` if more must be checked: use `fresh_snapshot`, or ask the store.
        """
        seen = self._seen.get(name)
        if seen is None:
            return None
        seen.used = True
        return seen.permit if self.clock() <= seen.fresh_until else None

    def fresh_snapshot(self, name: str) -> tuple[Snapshot, float] | None:
        """Return the last snapshot of a breaker if it is fresh, and the present time of the store's clock.

        Call `fresh_permit` first, because it marks the breaker as in use.

        Args:
            name: The breaker's name.

        Returns:
            The snapshot and the time in Unix seconds. ``None`` if there is no fresh snapshot, so the caller must ask
            the store.
        """
        seen, now = self._seen.get(name), self.clock()
        if seen is None or now > seen.fresh_until:
            return None
        return seen.snapshot, seen.snapshot.as_of + (now - seen.asked_at)

    def shows_open(self, name: str) -> bool:
        """Return whether a fresh snapshot shows that a circuit is open or half_open.

        Without a fresh snapshot, the answer is ``False``.
        """
        seen = self._seen.get(name)
        if seen is None or self.clock() > seen.fresh_until:
            return False
        return seen.snapshot.state is not State.CLOSED

    def takes_success(self, permit: Permit) -> bool:
        """Keep a success for a later report, if the store need not know it now.

        Usually, this is so if a fresh snapshot shows a closed circuit without failures.

        Args:
            permit: The permit of the call that succeeded.

        Returns:
            ``True`` if the view keeps the success. ``False`` if the caller must report it to the store.
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
        """Remove the successes that the view keeps for a breaker, and return them for a report.

        Args:
            permit: The permit with which the report is sent. If its generation is not that of the snapshot, or if it is
                the permit of a probe, nothing is removed.

        Returns:
            For each success, the moment at which it ended, in seconds of the view's clock.
        """
        seen = self._seen.get(permit.name)
        if seen is None or not seen.successes or seen.snapshot.generation != permit.generation or permit.is_probe:
            return []
        return seen.successes.take(self.clock() - self.horizon)

    def successes_since(self, name: str, since: float) -> int:
        """Return how many of the successes that the view keeps for a breaker ended after a given moment.

        Args:
            name: The breaker's name.
            since: The moment, in seconds of the view's clock.
        """
        seen = self._seen.get(name)
        return 0 if seen is None else seen.successes.count_since(since)

    def put_back_successes(self, permit: Permit, times: list[float]) -> None:
        """Keep successes again that `take_successes` removed, because their report certainly had no effect.

        Args:
            permit: The permit with which the report was sent.
            times: What `take_successes` returned.
        """
        seen = self._seen.get(permit.name)
        if seen is not None and seen.snapshot.generation == permit.generation:
            seen.successes.put_back(times)

    def unreported(self) -> list[Permit]:
        """Return a permit for each breaker whose successes must be reported now.

        The view keeps successes for it, and its closed circuit has counted failures that the successes may clear.
        """
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
        """Store a snapshot that the store returned, unless the view has a newer one.

        Of two snapshots, the one with the higher generation is newer. If the generations are equal, the one that was
        asked for later is newer.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of the view's clock.
            refreshed: Whether the snapshot is the answer to a refresh in the background.
        """
        policy = self.policy_for(snapshot.name)
        seen = Seen(snapshot, asked_at, self.max_staleness, policy)
        if refreshed:
            seen.refreshed_at = asked_at
        with self._lock:
            known = self._seen.get(snapshot.name)
            if known is not None and not seen.supersedes(known):
                return
            seen.follow(known)
            # A score falls slowly, so most successes find a score above zero. These successes wait until a refresh
            # sends them, if there are refreshes. A success clears a count of failures in a row at once.
            defers = policy.trip is not None and asked_at - seen.refreshed_at <= _HORIZON_REFRESHES * self.period
            seen.quiet = seen.clean or (defers and snapshot.state is State.CLOSED)
            self._seen[snapshot.name] = seen

    def record_many(self, snapshots: Mapping[str, Snapshot], asked_at: float) -> None:
        """Store several snapshots that the store returned together, as `record` does.

        Args:
            snapshots: The breakers, by name.
            asked_at: The moment just before the store call, in seconds of the view's clock.
        """
        for snapshot in snapshots.values():
            self.record(snapshot, asked_at)

    def forget(self, name: str) -> None:
        """Stop using the snapshot of one breaker, so that the next call asks the store.

        The view still remembers the snapshot's generation. So a late answer to an earlier store call cannot bring back
        an older state.

        Args:
            name: The breaker's name.
        """
        with self._lock:
            known = self._seen.get(name)
            if known is not None:
                self._seen[name] = known.distrusted(self.clock())

    def clear(self) -> None:
        """Remove the snapshots of all breakers, so that the next call of each breaker asks the store."""
        with self._lock:
            self._seen = {}

    def in_use(self) -> list[str]:
        """Return the names of the breakers to read in the next refresh.

        Call this method once for each refresh: a breaker that no call has used during many refreshes is dropped.
        """
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
        """Return the last known generation of each breaker in use, by name.

        The generation is a number that grows with each state change.
        """
        return {name: seen.snapshot.generation for name, seen in list(self._seen.items())}

    def snapshots(self) -> list[tuple[Snapshot, float]]:
        """Return every snapshot that can still be used, with the moment of the store call that returned it.

        Returns:
            Pairs of a snapshot and the moment just before the store call, in seconds of the view's clock.
        """
        return [(seen.snapshot, seen.asked_at) for seen in list(self._seen.values()) if seen.fresh_until > -inf]

    def staleness(self) -> Mapping[str, float]:
        """Return the age in seconds of the last snapshot of each breaker in use, by name."""
        now = self.clock()
        return {name: now - seen.asked_at for name, seen in list(self._seen.items())}

    def _reset_after_fork(self) -> None:
        """Empty the view in a forked process. The lock is replaced: a thread of the parent may have held it."""
        self._lock = threading.RLock()
        self._seen = {}


def make_view(max_staleness: float, *, needed: bool) -> View | None:
    """Make a view (this process's copy of the shared state), or return ``None`` if no view is needed.

    Args:
        max_staleness: Seconds for which a snapshot may replace an answer of the store. With 0, every call asks the
            store, so no view is needed.
        needed: Whether the store is remote. A store in memory needs no view.

    Raises:
        InvalidPolicyError: ``max_staleness`` is negative or not a finite number.
    """
    return View(max_staleness) if check_seconds("max_staleness", max_staleness) > 0 and needed else None
