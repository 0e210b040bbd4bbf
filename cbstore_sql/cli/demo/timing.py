"""The planned durations of the parts of the demo, and the time limits of its checks."""

from __future__ import annotations

from dataclasses import dataclass

from cbstore_sql.core.policy import BreakerPolicy

SERVED_IN = 0.02
"""Seconds that the healthy service takes to answer."""

FAILS_IN = 0.15
"""Seconds that the failing service takes to fail."""

CALL_TIMEOUT = 4.0
"""Seconds that a worker waits for the service. The value must be less than the probe's lease."""

FAILURE_THRESHOLD = 5
PROBE_LEASE = 5.0

_CROWD = 6
_PAUSE = (0.05, 0.11)


@dataclass(frozen=True, slots=True)
class Timing:
    """The planned durations of the parts of the demo, in seconds.

    Attributes:
        healthy: How long the service works at first.
        failing: How long the service fails. If no probe has failed yet, the service fails for up to ``patience``
            longer.
        calm: How long the demo continues after the circuit has closed again.
        recovering: The greatest time from the recovery of the service until the service has served every worker again.
        recovery_timeout: How long the circuit stays open before one call, the probe, tests the service.
        pause: The shortest and the longest pause of a worker between two calls.
        patience: How late a step may be before the check of the step fails.
    """

    healthy: float
    failing: float
    calm: float
    recovering: float
    recovery_timeout: float
    pause: tuple[float, float]
    patience: float

    @classmethod
    def of(cls, seconds: float, workers: int, patience: float) -> Timing:
        """Divide the duration of the demo into the durations of its parts.

        Args:
            seconds: The approximate duration of the demo, in seconds.
            workers: The number of workers. If there are more than 6 workers, each worker calls less often.
            patience: Seconds by which a step may be late before the check of the step fails.
        """
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
        """The policy of the demo's breaker: when the circuit opens, and when it admits a probe."""
        return BreakerPolicy(
            failure_threshold=FAILURE_THRESHOLD, recovery_timeout=self.recovery_timeout, probe_lease=PROBE_LEASE
        )

    @property
    def total(self) -> float:
        """The approximate duration of the demo in seconds, if no step is late."""
        return self.healthy + self.failing + self.recovery_timeout + self.calm

    def opens_within(self, workers: int) -> float:
        """Return the number of seconds within which the circuit must open after the first failure.

        Args:
            workers: The number of workers.
        """
        rounds = -(-FAILURE_THRESHOLD // workers)
        return rounds * (FAILS_IN + self.pause[1]) + self.patience

    @property
    def closes_within(self) -> float:
        """The number of seconds after the recovery of the service within which every worker must be served again.

        A probe that failed just before the recovery keeps the circuit open for one more ``recovery_timeout``.
        """
        return FAILS_IN + self.recovery_timeout + SERVED_IN + 2 * self.pause[1] + self.patience
