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
    """Return the largest score that the reports of one process may reach, so that ``min_reporters`` holds.

    Fewer than ``min_reporters`` processes together then stay below the limit at which the circuit opens.

    Args:
        min_reporters: How many processes must report failures before the circuit may open.

    Returns:
        A share of the limit, below 1; infinity if ``min_reporters`` is 1.
    """
    return _SHARE_OF_LIMIT / (min_reporters - 1) if min_reporters > 1 else float("inf")


class Contribution(NamedTuple):
    """What one report of this process adds to the score of a breaker, the evidence of a failure-rate policy.

    Attributes:
        name: The breaker's name.
        generation: The breaker's generation. The report counts only while the breaker has this generation.
        gain: The amount to add, as a share of the limit at which the circuit opens.
        base: The score of the earlier reports of this process, as a share of the limit.
        turn: The number of this report; -1 if another report of this process was on its way at the same time.
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
    """Limit what this process adds to the shared scores, so that one process cannot open a circuit alone.

    For each breaker, the own score is what the reports of this process have added. It never exceeds the limit of
    `clip_for`. A forked child starts without own scores.

    Args:
        clock: A function that returns seconds. Only differences between them matter.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._have_lock()
        self._scores: RecentNames[_Own] = RecentNames(_MOST_NAMES)

    def begin(self, name: str, generation: int, step: float, clip: float) -> Contribution:
        """Compute what a report may add to the score of a breaker, just before the report is sent.

        The own score (what this process has added) grows at once. The caller must call `end` when the store has
        answered.

        Args:
            name: The breaker's name.
            generation: The breaker's generation, with which the report is sent.
            step: What the report's failures would add to the score without this limit, as a share of the limit at which
                the circuit opens.
            clip: The largest own score; see `clip_for`.

        Returns:
            The amount that the report may add, and the data that `end` needs.
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
        """Correct the own score of a breaker when the store has answered a report, or has failed.

        Args:
            contribution: What `begin` returned.
            successes: What the successes in the report subtract from the score, as a share of the limit.
            applied: Whether the report had an effect; ``None`` if this is not known.
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
        """Lower the own score of a breaker if a snapshot shows that the shared score is 0 or has started again.

        If the shared score is 0, nothing of what this process has added is left. So the successes of this process lower
        the own score, although they are not reported. If the generation is new, the own score becomes 0.

        Args:
            snapshot: The breaker, as the store returned it.
            asked_at: The moment just before the store call, in seconds of ``clock``.
            relief: A function that receives a moment of ``clock``, and returns what the successes of this process since
                then subtract from the score, as a share of the limit.
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
