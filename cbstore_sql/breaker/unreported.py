"""Successes that the store has not heard of yet.

A success that meets a circuit seen clean changes nothing, so it is not written. But another process may have counted
a failure meanwhile, and a count of failures in a row that misses the successes in between opens healthy circuits. So
each process remembers when its recent successes ended, and the next report carries them.

A success is either pending here or part of one report, never both: a report takes all that is pending, and what may
have been applied is not put back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

# A score falls back to zero after a few dozen successes, and a count of failures in a row after one. Older ones than
# these change nothing more, so they are dropped.
_MOST_REMEMBERED = 4096


class UnreportedSuccesses:
    """The pending successes of one breaker in one generation.

    Attributes:
        add: Called with the moment a success ended, seconds by the steady clock. It takes no lock: every healthy call
            comes through here.
    """

    __slots__ = ("_lock", "_times", "add")

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST_REMEMBERED)
        self._lock = threading.Lock()
        self.add = self._times.append

    def __len__(self) -> int:
        return len(self._times)

    def any_since(self, since: float) -> bool:
        """Whether a success is pending that ended at a moment or later."""
        try:
            return self._times[-1] >= since
        except IndexError:
            return False

    def count_since(self, since: float) -> int:
        """Return how many pending successes ended after a moment."""
        with self._lock:
            return sum(time > since for time in tuple(self._times))

    def take(self, since: float) -> list[float]:
        """Remove all pending successes and return those that ended at ``since`` or later, for one report."""
        with self._lock:
            taken = []
            while self._times:
                taken.append(self._times.popleft())
        return [time for time in taken if time >= since]

    def put_back(self, times: Iterable[float]) -> None:
        """Make successes pending again whose report surely had no effect."""
        with self._lock:
            self._times.extendleft(reversed(list(times)))

    def drop_before(self, since: float) -> None:
        """Forget successes that ended before a moment: no report would carry them."""
        with self._lock:
            while self._times and self._times[0] < since:
                self._times.popleft()
