"""A clock that a test moves."""

from __future__ import annotations

from cbstore_sql.core.validation import check_seconds

_START = 1_800_000_000.0


class ManualClock:
    """A clock that stands still until a test moves it.

    Args:
        now: The start of the clock, Unix seconds.
    """

    def __init__(self, now: float = _START) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the present moment, Unix seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by a number of seconds.

        Args:
            seconds: How many seconds; at least 0.

        Raises:
            InvalidPolicyError: ``seconds`` is negative or not a number.
        """
        self.now += check_seconds("seconds", seconds)
