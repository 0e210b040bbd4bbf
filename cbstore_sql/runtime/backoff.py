"""Pauses that grow from one attempt to the next."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.runtime.rng import rng


class ExponentialBackoff:
    """Pauses that grow by a factor up to a limit, each changed at random.

    The random part keeps the processes of a fleet from trying again all at the same moment.

    Args:
        first: The first pause in seconds.
        longest: The longest pause in seconds.
        factor: Each pause is this many times the one before; at least 1.
        jitter: Each pause is multiplied by a random number between these two.
        quiet: After this many seconds without an attempt, on top of the last pause, `next` starts again with
            ``first``. ``None``: only `reset` starts again.
        clock: Returns seconds of a steady clock.
        rand: Returns a random number from 0 to 1; ``None`` draws one of the library's own.
    """

    def __init__(
        self,
        first: float = 0.1,
        longest: float = 3.0,
        *,
        factor: float = 2.0,
        jitter: tuple[float, float] = (0.5, 1.0),
        quiet: float | None = None,
        clock: Callable[[], float] = monotonic,
        rand: Callable[[], float] | None = None,
    ) -> None:
        self._first = first
        self._longest = longest
        self._factor = factor
        self._low, self._high = jitter
        self._quiet = quiet
        self._clock = clock
        self._rand = rand
        self._attempts = 0
        self._quiet_until = 0.0

    def next(self) -> float:
        """Return the seconds to wait now, and count one more attempt."""
        now = self._clock()
        if self._quiet is not None:
            if now > self._quiet_until:
                self._attempts = 0
            self._quiet_until = now + self._unchanged(self._attempts) * self._factor + self._quiet
        self._attempts += 1
        return self.after(self._attempts - 1)

    def reset(self) -> None:
        """Start again with the first pause."""
        self._attempts = 0

    def after(self, attempts: int) -> float:
        """Return the seconds to wait after some attempts; 0 gives the first pause. Nothing is counted."""
        roll = rng.random() if self._rand is None else self._rand()
        return self._unchanged(attempts) * (self._low + (self._high - self._low) * roll)

    def _unchanged(self, attempts: int) -> float:
        try:
            return min(self._longest, self._first * self._factor**attempts)
        except OverflowError:
            return self._longest
