"""Successes that are not in the store yet.

A success in a circuit that was seen clean changes nothing, so it is not written. But another process may have counted a
failure since. A count of failures in a row that lacks the successes between them would open healthy circuits. So each
process remembers when its recent successes ended, and the next report carries them.

A success is either pending here or part of one report, never both. A report takes all pending successes. A report that
may have been applied does not put its successes back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

# A few dozen successes clear a score, and one success clears a count of failures in a row. Successes before the last
# 4096 change nothing, so they are dropped.
_MOST_REMEMBERED = 4096


class UnreportedSuccesses:
    """The pending successes of one breaker in one generation.

    Attributes:
        add: A function that is called with the moment at which a success ended, in seconds of the steady clock. The
            function takes no lock, because every healthy call runs the function.
    """

    __slots__ = ("_lock", "_times", "add")

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST_REMEMBERED)
        self._lock = threading.Lock()
        self.add = self._times.append

    def __len__(self) -> int:
        return len(self._times)

    def any_since(self, since: float) -> bool:
        """Return whether any pending success ended at ``since`` or later, in seconds of the steady clock."""
        try:
            return self._times[-1] >= since
        except IndexError:
            return False

    def count_since(self, since: float) -> int:
        """Return how many pending successes ended after ``since``, in seconds of the steady clock."""
        with self._lock:
            return sum(time > since for time in tuple(self._times))

    def take(self, since: float) -> list[float]:
        """Remove all pending successes and return the successes that ended at ``since`` or later, for one report."""
        with self._lock:
            taken = []
            while self._times:
                taken.append(self._times.popleft())
        return [time for time in taken if time >= since]

    def put_back(self, times: Iterable[float]) -> None:
        """Make successes pending again after a report that certainly had no effect."""
        with self._lock:
            self._times.extendleft(reversed(list(times)))

    def drop_before(self, since: float) -> None:
        """Remove the successes that ended before ``since``. They are too old for a report."""
        with self._lock:
            while self._times and self._times[0] < since:
                self._times.popleft()
