"""A limit on retries as a share of a process's own calls, so that an outage does not multiply its load."""

from __future__ import annotations

from cbstore_sql.runtime.fork import ForkSafeLock


class RetryBudget(ForkSafeLock):
    """Keeps the retries of this process to a share of its calls plus a burst.

    Each process keeps its own. A fleet then makes at most ``share`` times its calls, plus ``burst`` per process.

    Args:
        share: Retries that each call allows, 0 to 1. ``None`` limits nothing.
        burst: Retries allowed beyond that; also the most that can be saved up.
    """

    def __init__(self, share: float | None, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._left = burst
        self._have_lock()

    def call_made(self) -> None:
        """Note the first attempt of a call."""
        if self._share is not None:
            with self._lock:
                self._left = min(self._burst, self._left + self._share)

    def take(self) -> bool:
        """Take one retry; return whether it may be made."""
        if self._share is None:
            return True
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True
