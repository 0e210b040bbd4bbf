"""The limit on what one process may add to the shared score, for ``min_reporters``.

With ``min_reporters=m``, fewer than ``m`` processes cannot open a circuit. Each process keeps an own score of the calls
that it reported. The own score is clipped at ``0.9 / (m - 1)`` of the limit, and a report adds only the gain of the
clipped score. The shared score is never more than the sum of the own scores, so ``m - 1`` processes reach at most 0.9
of the limit.

The bound must hold even if reports are lost or late. So a process adds a gain to the own score before it sends the
report. Successes lower the own score in two cases only: the store confirmed the report with the successes, or the store
showed a clean circuit. In both cases, no other report of this process may have been under way meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from cbstore_sql.core.model import Snapshot
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames

_SHARE_OF_LIMIT = 0.9
"""The share of the limit that ``min_reporters - 1`` processes may reach together; below 1 in spite of rounding."""

# The largest number of scores in memory. Beyond it, the breakers that failed the longest time ago are forgotten.
_MOST_NAMES = 4096


def clip_for(min_reporters: int) -> float:
    """Return the largest own score of one process, as a share of the limit; infinity if ``min_reporters`` is 1."""
    return _SHARE_OF_LIMIT / (min_reporters - 1) if min_reporters > 1 else float("inf")


class Contribution(NamedTuple):
    """The amount that one report adds to the shared score.

    Attributes:
        name: The breaker's name.
        generation: The generation that fences the report.
        gain: The amount to add, as a share of the limit.
        base: The own score of this process before the report, as a share of the limit.
        turn: The number of this report; -1 if another report of this process was under way.
    """

    name: str
    generation: int
    gain: float
    base: float
    turn: int


class _Own:
    __slots__ = ("counted_until", "generation", "score", "touched_at", "turn", "under_way")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.score = 0.0
        self.under_way = 0
        self.turn = 0
        self.touched_at = 0.0
        self.counted_until = 0.0


class OwnScores(ForkSafeLock):
    """The scores of the reports of this process, by breaker name. A forked child starts without scores.

    Args:
        clock: A function that returns seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._have_lock()
        self._scores: RecentNames[_Own] = RecentNames(_MOST_NAMES)

    def begin(self, name: str, generation: int, step: float, clip: float) -> Contribution:
        """Add a report that is about to be sent to the own score. `end` must follow.

        Args:
            name: The breaker's name.
            generation: The generation that fences the report.
            step: What the report's failures add to the score without clipping, as a share of the limit.
            clip: The largest own score of this process, as a share of the limit.

        Returns:
            The contribution, which `end` needs.
        """
        with self._lock:
            own = self._scores.get(name)
            if own is None or generation > own.generation:
                own = _Own(generation)
                self._scores.put(name, own)
            if generation < own.generation:
                # The store will not count a report of an earlier generation either.
                return Contribution(name, generation, 0.0, 0.0, -1)
            base = own.score
            own.score = max(base, min(base + step, clip))
            own.turn += 1
            turn = own.turn if own.under_way == 0 else -1
            own.under_way += 1
            own.touched_at = self._clock()
            return Contribution(name, generation, own.score - base, base, turn)

    def end(self, contribution: Contribution, successes: float, *, applied: bool | None) -> None:
        """Correct the own score after the store answered or failed.

        Args:
            contribution: What `begin` returned.
            successes: What the successes of the report subtract from the shared score, as a share of the limit.
            applied: Whether the store applied the report; ``None`` if this is not known.
        """
        with self._lock:
            own = self._scores.get(contribution.name)
            if own is None or own.generation != contribution.generation:
                return
            own.under_way -= 1
            own.touched_at = self._clock()
            if applied is False:
                own.score = max(0.0, own.score - contribution.gain)
            elif applied and own.turn == contribution.turn:
                own.score = max(0.0, contribution.base - successes) + contribution.gain

    def seen(self, snapshot: Snapshot, asked_at: float, relief: Callable[[float], float]) -> None:
        """Lower the own score after the store showed a clean circuit or a new generation.

        A clean circuit contains nothing of what this process has added. So the process's successes lower the own score,
        although they are not reported. In the same generation, the own score of a process without successes stays the
        same.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of the steady clock.
            relief: A function that returns what the successes of this process since a moment of the steady clock
                subtract from the score, as a share of the limit.
        """
        own = self._scores.get(snapshot.name)
        if own is None or (snapshot.score > 0.0 and snapshot.generation == own.generation):
            return
        with self._lock:
            if own.under_way > 0 or asked_at <= own.touched_at or self._scores.get(snapshot.name) is not own:
                return
            if snapshot.generation == own.generation:
                own.score -= relief(own.counted_until)
                own.counted_until = asked_at
            if own.score <= 0.0 or snapshot.generation != own.generation:
                self._scores.drop(snapshot.name)

    def _renew_lock(self) -> None:
        super()._renew_lock()
        self._scores = RecentNames(_MOST_NAMES)
