"""Which calls of this process a ramp admits.

Each process decides for itself, without asking: it adds the present share of each call to an accumulator and admits
a call whenever the sum reaches one. Of any run of calls it thus admits the sum of their shares, give or take one.
The accumulator starts at a random point, so that a fleet of processes with few calls each admits its share as well.
"""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.core.admission import ramp_share, ramp_start
from cbstore_sql.core.model import Snapshot
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.runtime.rng import rng

# Breakers on their ramps at the same time; of more than these, the ones asked for first start at a new random point.
_MOST_NAMES = 4096


class RampGate(ForkSafeLock):
    """The accumulators of one process, by breaker name.

    Args:
        draw: Returns a random number from 0 to 1, where an accumulator starts.
    """

    def __init__(self, draw: Callable[[], float] = rng.random) -> None:
        self._draw = draw
        self._have_lock()
        self._sums: RecentNames[tuple[float, float]] = RecentNames(_MOST_NAMES)

    def refusal(self, snapshot: Snapshot, ramp_up: float, now: float | None = None) -> float | None:
        """Decide one call through a circuit that is closed.

        Args:
            snapshot: The breaker as the store gave it.
            ramp_up: The length of a ramp, seconds; 0 means no ramp.
            now: Unix seconds by the store's clock; ``None`` means ``snapshot.as_of``.

        Returns:
            ``None``: the call is admitted. Otherwise the seconds after which a refused caller may ask again: a random
            moment of what is left of the ramp, so that the refused do not come back together.
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
        # A forked child starts at its own point: parent and child must not admit in step.
        self._sums = RecentNames(_MOST_NAMES)
