"""What one process may add to the shared score: the clipping behind ``min_reporters``.

With ``min_reporters=m`` no group of fewer than ``m`` processes may trip a breaker. Each process keeps the score of the
calls that it reported itself, clipped at ``0.9 / (m - 1)`` of the limit, and sends only what the clipped score gains.
The shared score is then never more than the sum of these scores: ``m - 1`` processes reach 0.9 of the limit at most.

The bound must hold whatever is lost or late. So a gain is added to a process's own score before it is sent, and
successes lower that score only once the store has confirmed the report that carried them, or has shown a clean circuit
that they have nothing to clear in, and no other report of this process was under way meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from cbstore_sql.core.model import Snapshot
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames

_SHARE_OF_LIMIT = 0.9
"""What ``min_reporters - 1`` processes may reach together: short of the limit, whatever rounding does."""

# Breakers that fail at the same time; of more than these, the ones that failed first are forgotten.
_MOST_NAMES = 4096


def clip_for(min_reporters: int) -> float:
    """Return the most that one process may add, as a share of the limit; infinity for a single reporter."""
    return _SHARE_OF_LIMIT / (min_reporters - 1) if min_reporters > 1 else float("inf")


class Contribution(NamedTuple):
    """What one report adds to the shared score.

    Attributes:
        name: The breaker's name.
        generation: The generation the report is fenced by.
        gain: What to add, as a share of the limit.
        base: This process's own score before it, as a share of the limit.
        turn: Tells whether another report of this process came between.
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
    """The scores of this process's own reports, by breaker name. A forked child starts with none.

    Args:
        clock: The steady clock, seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._have_lock()
        self._scores: RecentNames[_Own] = RecentNames(_MOST_NAMES)

    def begin(self, name: str, generation: int, step: float, clip: float) -> Contribution:
        """Note a report that is about to be sent; `end` follows.

        Args:
            name: The breaker's name.
            generation: The generation the report is fenced by.
            step: What the report's failures add without clipping, as a share of the limit.
            clip: The most this process may add, as a share of the limit.
        """
        with self._lock:
            own = self._scores.get(name)
            if own is None or generation > own.generation:
                own = _Own(generation)
                self._scores.put(name, own)
            if generation < own.generation:
                # The store will not count it either.
                return Contribution(name, generation, 0.0, 0.0, -1)
            base = own.score
            own.score = max(base, min(base + step, clip))
            own.turn += 1
            turn = own.turn if own.under_way == 0 else -1
            own.under_way += 1
            own.touched_at = self._clock()
            return Contribution(name, generation, own.score - base, base, turn)

    def end(self, contribution: Contribution, successes: float, *, applied: bool | None) -> None:
        """Learn how the store took a report.

        Args:
            contribution: What `begin` returned.
            successes: What the successes of the report take off the shared score, as a share of the limit.
            applied: Whether the store carried the report out; ``None`` where that is not known.
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
        """Take in what the store answered.

        In a clean circuit nothing is left of what this process has added, so its own successes make room, although
        they are not reported. A process that only fails gets no room: it has said all it may.

        Args:
            snapshot: The breaker.
            asked_at: When the store was asked, by the steady clock, seconds.
            relief: Returns what this process's successes since a moment of the steady clock take off the score, as a
                share of the limit.
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
