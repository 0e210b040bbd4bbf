"""One entry of the view: what this process last saw of one breaker."""

from __future__ import annotations

from copy import copy
from math import inf

from cbstore_sql.breaker.decision import is_clean, needs_decision
from cbstore_sql.breaker.unreported import UnreportedSuccesses
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.policy import BreakerPolicy


class Seen:
    """What the view keeps of one breaker: its last snapshot, its use, and its unreported successes.

    The view is this process's copy of the shared state.

    Args:
        snapshot: The breaker, as the store returned it.
        asked_at: The moment just before the store call, in seconds of the view's clock.
        max_staleness: For how many seconds after ``asked_at`` the snapshot may be used.
        policy: The breaker's policy.

    Attributes:
        snapshot: The snapshot.
        asked_at: The moment just before the store call.
        fresh_until: The moment until which the snapshot may be used. It is -infinity for an entry of `distrusted`.
        permit: The permit for a call that may go ahead at once; ``None`` if more must be checked.
        clean: Whether the circuit is closed and has nothing that a success would clear or lower.
        quiet: Whether successes wait for the next report. `View.record` also sets this for a circuit with a score.
        refreshed_at: The moment just before the last refresh that read this breaker; -infinity if no refresh did.
        used: Whether a call asked for this breaker since the last refresh.
        idle: How many refreshes in a row found that no call had asked for this breaker.
        successes: The unreported successes. `follow` sets this attribute.
        add_success: ``successes.add``, stored here because every healthy call needs it.
    """

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
        # `None` if the admission needs more than the state: see `View.fresh_snapshot`.
        self.permit = snapshot.permit if closed and not needs_decision(snapshot, policy) else None
        self.clean = is_clean(snapshot, policy)
        self.quiet = self.clean
        self.asked_at = asked_at
        self.fresh_until = asked_at + max_staleness
        if snapshot.override and snapshot.override_until > snapshot.as_of:
            self.fresh_until = min(self.fresh_until, asked_at + snapshot.override_until - snapshot.as_of)
        self.refreshed_at = -inf
        self.used = False
        self.idle = 0

    def follow(self, known: Seen | None) -> None:
        """Take over from an older entry of the same breaker how long it was not used, and its unreported successes.

        Args:
            known: The older entry; ``None`` if it does not exist. Successes of another generation are not taken over.
        """
        if known is not None:
            self.idle = known.idle
            self.refreshed_at = max(self.refreshed_at, known.refreshed_at)
        if known is not None and known.snapshot.generation == self.snapshot.generation:
            self.successes: UnreportedSuccesses = known.successes
        else:
            self.successes = UnreportedSuccesses()
        self.add_success = self.successes.add

    def distrusted(self, now: float) -> Seen:
        """Return a copy of this entry whose snapshot no call may use, because it is out of date.

        Only the answer to a store call that is made after ``now`` replaces the copy.

        Args:
            now: The present moment, in seconds of the view's clock.
        """
        seen = copy(self)
        seen.permit = None
        seen.clean = seen.quiet = False
        seen.asked_at, seen.fresh_until = now, -inf
        return seen

    def supersedes(self, known: Seen) -> bool:
        """Return whether this entry replaces another entry of the same breaker.

        The entry with the higher generation (a number that grows with each state change) stays. If the generations are
        equal, the entry of the later store call stays.

        Args:
            known: The other entry.
        """
        snapshot, other = self.snapshot, known.snapshot
        if snapshot.generation == other.generation:
            return self.asked_at >= known.asked_at
        # A breaker whose row was deleted begins again at generation 0. The known entry wins until it is too old.
        return snapshot.generation > other.generation or self.asked_at > known.fresh_until
