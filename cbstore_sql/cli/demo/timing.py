"""How long the phases of the demo take, and how long its checks wait."""

from __future__ import annotations

from dataclasses import dataclass

from cbstore_sql.core.policy import BreakerPolicy

SERVED_IN = 0.02
"""Seconds the service takes for a good answer."""

FAILS_IN = 0.15
"""Seconds a caller waits for a bad one: a failing service is slow."""

CALL_TIMEOUT = 4.0
"""Seconds a worker waits for the service; less than the probe's lease."""

FAILURE_THRESHOLD = 5
PROBE_LEASE = 5.0

_CROWD = 6
_PAUSE = (0.05, 0.11)


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of one run, seconds.

    Attributes:
        healthy: The first phase: the service answers.
        failing: The second phase: it fails, and for up to ``patience`` longer until a probe has failed.
        calm: How long the workers go on after the circuit has closed again.
        recovering: The longest that the third phase may take.
        recovery_timeout: How long the breaker stays open.
        pause: The shortest and the longest a worker waits between two attempts.
        patience: How late a step may be before its check fails.
    """

    healthy: float
    failing: float
    calm: float
    recovering: float
    recovery_timeout: float
    pause: tuple[float, float]
    patience: float

    @classmethod
    def of(cls, seconds: float, workers: int, patience: float) -> Pace:
        """Divide a run among its phases; with many workers, each calls less often."""
        crowd = max(1.0, workers / _CROWD)
        return cls(
            healthy=seconds / 6,
            failing=seconds * 5 / 12,
            calm=seconds / 8,
            recovering=seconds * 5 / 12 + patience,
            recovery_timeout=seconds / 6,
            pause=(_PAUSE[0] * crowd, _PAUSE[1] * crowd),
            patience=patience,
        )

    @property
    def policy(self) -> BreakerPolicy:
        """The breaker's numbers."""
        return BreakerPolicy(
            failure_threshold=FAILURE_THRESHOLD, recovery_timeout=self.recovery_timeout, probe_lease=PROBE_LEASE
        )

    @property
    def total(self) -> float:
        """About how long a run takes."""
        return self.healthy + self.failing + self.recovery_timeout + self.calm

    def opens_within(self, workers: int) -> float:
        """Return the seconds after the first failure within which the workers must have opened the circuit."""
        rounds = -(-FAILURE_THRESHOLD // workers)
        return rounds * (FAILS_IN + self.pause[1]) + self.patience

    @property
    def closes_within(self) -> float:
        """Seconds from the service's recovery in which every worker must be served again.

        A probe that failed at the last moment keeps the circuit open for another whole open time.
        """
        return FAILS_IN + self.recovery_timeout + SERVED_IN + 2 * self.pause[1] + self.patience
