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
    """The successes of one breaker that this process has not reported to the store yet.

    Attributes:
        add: A function to add one success. It receives the moment at which the call ended, in seconds of a clock of
            which only differences matter. It takes no lock, because every healthy call runs it.
    """

    __slots__ = ("_lock", "_times", "add")

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST_REMEMBERED)
        self._lock = threading.Lock()
        self.add = self._times.append

    def __len__(self) -> int:
        return len(self._times)

    def any_since(self, since: float) -> bool:
        """Return whether any of the successes ended at a given moment or later.

        Args:
            since: The moment, in seconds of the same clock as for `add`.
        """
        try:
            return self._times[-1] >= since
        except IndexError:
            return False

    def count_since(self, since: float) -> int:
        """Return how many of the successes ended after a given moment.

        Args:
            since: The moment, in seconds of the same clock as for `add`.
        """
        with self._lock:
            return sum(time > since for time in tuple(self._times))

    def take(self, since: float) -> list[float]:
        """Remove all successes, and return those that are recent enough for a report.

        Args:
            since: The moment from which a success is recent enough, in seconds of the same clock as for `add`.

        Returns:
            For each recent success, the moment at which it ended.
        """
        with self._lock:
            taken = []
            while self._times:
                taken.append(self._times.popleft())
        return [time for time in taken if time >= since]

    def put_back(self, times: Iterable[float]) -> None:
        """Add successes again that `take` removed, because their report certainly had no effect.

        Args:
            times: What `take` returned.
        """
        with self._lock:
            self._times.extendleft(reversed(list(times)))

    def drop_before(self, since: float) -> None:
        """Remove the successes that ended before a given moment, because they are too old for a report.

        Args:
            since: The moment, in seconds of the same clock as for `add`.
        """
        with self._lock:
            while self._times and self._times[0] < since:
                self._times.popleft()
