"""When a breaker trips, how long it stays open, and what closes it."""

from __future__ import annotations

from dataclasses import dataclass

from cbstore_sql.core.validation import check_factor, check_seconds, check_threshold


@dataclass(frozen=True)
class BreakerPolicy:
    """The numbers one breaker is run by.

    A policy belongs to the caller and is not stored: every operation brings its own, so that a new value
    takes effect with the next call of each process.

    Args:
        failure_threshold: Failures in a row that open a closed circuit; at least 1.
        recovery_timeout: Seconds an open circuit refuses calls before one probe may be claimed; 0 means a
            probe may be claimed at once.
        success_threshold: Successful probes in a row that close a half-open circuit; at least 1.
        probe_lease: Seconds the owner of a probe has before another caller may take it over; more than 0.
            Choose more than the longest guarded call, or renew the lease during it.
        backoff_multiplier: Each time a probe fails, the open time is multiplied by this; from 1 (fixed open
            time) to 1,000.
        max_recovery_timeout: The longest open time in seconds, before jitter; at least ``recovery_timeout``.
            ``None`` means an hour, or ``recovery_timeout`` where that is longer.
        recovery_jitter: Lengthens each open time by a random part of it, from 0 (none) to 1 (up to double),
            so that a fleet's breakers do not probe in step. It never shortens.

    Raises:
        InvalidPolicyError: A value is out of range, NaN or infinite.
    """

    failure_threshold: int = 5
    recovery_timeout: float = 60.0
    success_threshold: int = 1
    probe_lease: float = 60.0
    backoff_multiplier: float = 1.0
    max_recovery_timeout: float | None = None
    recovery_jitter: float = 0.0

    def __post_init__(self) -> None:
        check_threshold("failure_threshold", self.failure_threshold)
        check_threshold("success_threshold", self.success_threshold)
        checked = {
            "recovery_timeout": check_seconds("recovery_timeout", self.recovery_timeout),
            "probe_lease": check_seconds("probe_lease", self.probe_lease, minimum=0.001),
            "backoff_multiplier": check_factor("backoff_multiplier", self.backoff_multiplier, 1.0, 1000.0),
            "recovery_jitter": check_factor("recovery_jitter", self.recovery_jitter, 0.0, 1.0),
        }
        if self.max_recovery_timeout is not None:
            checked["max_recovery_timeout"] = check_seconds(
                "max_recovery_timeout", self.max_recovery_timeout, minimum=float(self.recovery_timeout)
            )
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    @property
    def recovery_timeout_cap(self) -> float:
        """The longest open time before jitter, seconds, with the default filled in."""
        if self.max_recovery_timeout is not None:
            return self.max_recovery_timeout
        return max(3600.0, self.recovery_timeout)


DEFAULT_POLICY = BreakerPolicy()
"""5 failures, 60 seconds, 1 success, fixed open time."""
