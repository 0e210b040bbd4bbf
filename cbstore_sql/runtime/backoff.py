"""How long to wait before a store that was out is asked again."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.runtime.rng import rng

_FIRST = 0.1
_LONGEST = 5.0
_FACTOR = 2.0

# An outage that begins this soon after the last question goes on where the one before left off.
_QUIET = 10.0


class ExponentialBackoff:
    """ExponentialBackoff that double up to 5 seconds, each shortened by up to half at random.

    The randomness keeps the processes of a fleet from asking a store that comes back all at once.

    Args:
        clock: The steady clock, seconds.
        rand: Returns a number from 0 to 1.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, rand: Callable[[], float] = rng.random) -> None:
        self._clock = clock
        self._rand = rand
        self._next = _FIRST
        self._asked_at = clock()

    def next(self) -> float:
        """Return the seconds to wait now."""
        now = self._clock()
        if now - self._asked_at > _QUIET + self._next:
            self._next = _FIRST
        self._asked_at = now
        pause = self._next * (1.0 - 0.5 * self._rand())
        self._next = min(_LONGEST, self._next * _FACTOR)
        return pause
