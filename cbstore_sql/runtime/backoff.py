"""Pauses that grow from one attempt to the next."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from cbstore_sql.runtime.rng import rng


class ExponentialBackoff:
    """A series of pauses, each longer than the previous pause by a factor, up to a limit.

    Each pause is multiplied by a random number. The random numbers differ between the processes of a fleet, so that the
    processes do not all try again at the same moment.

    Args:
        first: The first pause in seconds.
        longest: The longest pause in seconds.
        factor: How many times as long as the previous pause each pause is; at least 1.
        jitter: The lowest and the highest random number by which a pause is multiplied.
        quiet: If no attempt follows within this many seconds after a pause has ended, `next` starts again with
            ``first``. ``None`` means that only `reset` starts again with ``first``.
        clock: A function that returns seconds. Only differences between them matter.
        rand: A function that returns a random number from 0 to 1. ``None`` means the library's random numbers.
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
        """Return how many seconds to wait before the next attempt, and make the next pause longer."""
        now = self._clock()
        if self._quiet is not None:
            if now > self._quiet_until:
                self._attempts = 0
            self._quiet_until = now + self._unchanged(self._attempts) * self._factor + self._quiet
        self._attempts += 1
        return self.after(self._attempts - 1)

    def reset(self) -> None:
        """Start the series again, so that `next` returns the first pause."""
        self._attempts = 0

    def after(self, attempts: int) -> float:
        """Return how many seconds to wait after a given number of attempts. This does not change what `next` returns.

        Args:
            attempts: The number of attempts before the pause; 0 gives the first pause.
        """
        roll = rng.random() if self._rand is None else self._rand()
        return self._unchanged(attempts) * (self._low + (self._high - self._low) * roll)

    def _unchanged(self, attempts: int) -> float:
        try:
            return min(self._longest, self._first * self._factor**attempts)
        except OverflowError:
            return self._longest
