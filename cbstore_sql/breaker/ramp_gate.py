"""The gate that admits a share of the calls after a circuit has closed (``ramp_up``).

Each process admits calls without asking the store. It adds the present share of the ramp for each call to an
accumulator, and admits a call whenever the sum reaches 1. Of any series of calls, the gate thus admits the sum of the
shares, plus or minus one. The accumulator starts at a random value, so that processes with few calls together admit the
share as well.
"""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.core.admission import ramp_share, ramp_start
from cbstore_sql.core.model import Snapshot
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.runtime.rng import rng

# The largest number of accumulators in memory. Beyond it, the oldest ones are dropped and start at a new random value.
_MOST_NAMES = 4096


class RampGate(ForkSafeLock):
    """Admit only a growing share of the calls of this process after a circuit has closed (``ramp_up``).

    For each breaker, each call adds the present share to a sum. When the sum reaches 1, the call is admitted and 1 is
    subtracted.

    Args:
        draw: A function that returns a random number from 0 to 1. Each sum starts with such a number.
    """

    def __init__(self, draw: Callable[[], float] = rng.random) -> None:
        self._draw = draw
        self._have_lock()
        self._sums: RecentNames[tuple[float, float]] = RecentNames(_MOST_NAMES)

    def refusal(self, snapshot: Snapshot, ramp_up: float, now: float | None = None) -> float | None:
        """Decide whether one call belongs to the share of calls that is admitted now.

        Args:
            snapshot: The breaker, whose circuit is closed.
            ramp_up: For how many seconds after the closing the share grows; 0 means that all calls are admitted.
            now: The store's clock, Unix seconds; ``None`` means the moment at which the store returned the snapshot.

        Returns:
            ``None`` if the call is admitted. Otherwise the seconds after which the caller may try again: a random
            moment in the rest of the ramp, so that rejected callers do not return at the same time.
        """
        share = ramp_share(snapshot, ramp_up, now)
        if share >= 1.0:
            self._forget(snapshot.name)
            return None
        start = ramp_start(snapshot)
        if self._admits(snapshot.name, start, share):
            return None
        moment = snapshot.as_of if now is None else now
        return max(0.0, start + ramp_up - moment) * self._draw()

    def _admits(self, name: str, start: float, share: float) -> bool:
        with self._lock:
            known = self._sums.get(name)
            total = share + (known[1] if known is not None and known[0] == start else self._draw())
            admitted = total >= 1.0
            self._sums.put(name, (start, total - 1.0 if admitted else total))
        return admitted

    def _forget(self, name: str) -> None:
        if name in self._sums:
            with self._lock:
                self._sums.drop(name)

    def _renew_lock(self) -> None:
        super()._renew_lock()
        # A forked child starts at another random value, so that parent and child do not admit calls in step.
        self._sums = RecentNames(_MOST_NAMES)
