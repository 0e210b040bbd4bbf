"""A limit on the retries of one process, so that retries do not multiply the load during an outage."""

from __future__ import annotations

from cbstore_sql.runtime.fork import ForkSafeLock

_ROUNDING = 1e-9
"""How far below a whole retry the budget may be, because a sum of shares such as 0.1 is not exact."""


class RetryBudget(ForkSafeLock):
    """A budget that limits the retries of this process to a share of the calls plus a burst.

    Each process has a separate budget. A fleet makes at most ``share`` retries per call, plus ``burst`` retries per
    process.

    Args:
        share: The number of retries that each call adds to the budget, from 0 to 1. ``None`` sets no limit.
        burst: The number of retries in the budget at the start, and the most that the budget can hold; at least
            0. The budget can always hold one retry.
    """

    def __init__(self, share: float | None, burst: float) -> None:
        self._share = share
        self._most = max(burst, 1.0)
        self._left = burst
        self._have_lock()

    def call_made(self) -> None:
        """Add ``share`` retries to the budget. Call this method at the start of each call."""
        if self._share is not None:
            with self._lock:
                self._left = min(self._most, self._left + self._share)

    def take(self) -> bool:
        """Use one retry of the budget, if one is left.

        Returns:
            ``True`` if the caller may retry. ``False`` if the budget has less than one retry left.
        """
        if self._share is None:
            return True
        with self._lock:
            if self._left < 1 - _ROUNDING:
                return False
            self._left -= 1
            return True
