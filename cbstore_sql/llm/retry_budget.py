"""A limit on the retries of one process, so that retries do not multiply the load during an outage."""

from __future__ import annotations

from cbstore_sql.runtime.fork import ForkSafeLock


class RetryBudget(ForkSafeLock):
    """A budget of retries for this process: a share of the calls plus a burst.

    Each process has a separate budget. A fleet makes at most ``share`` retries per call, plus ``burst`` retries per
    process.

    Args:
        share: The number of retries that each call adds to the budget, from 0 to 1. ``None`` sets no limit.
        burst: The number of retries in the budget at the start, and the most that the budget can hold.
    """

    def __init__(self, share: float | None, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._left = burst
        self._have_lock()

    def call_made(self) -> None:
        """Add ``share`` retries to the budget, because a call starts."""
        if self._share is not None:
            with self._lock:
                self._left = min(self._burst, self._left + self._share)

    def take(self) -> bool:
        """Use one retry of the budget.

        Returns:
            ``True`` if the caller may retry. ``False`` if the budget has less than one retry left.
        """
        if self._share is None:
            return True
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True
