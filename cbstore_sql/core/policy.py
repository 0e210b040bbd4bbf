"""When a breaker trips, how long the circuit stays open, and what closes the circuit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, log

from cbstore_sql.core.validation import check_factor, check_seconds, check_threshold
from cbstore_sql.errors import InvalidPolicyError

MAX_REPORTERS = 100
"""The largest ``min_reporters``."""


class _Default(int):
    """The default of ``failure_threshold``. The class shows that the caller passed no threshold."""


_DEFAULT_THRESHOLD = _Default(5)


@dataclass(frozen=True)
class FailureRate:
    """A rule that trips the circuit on the rate of failures, by a sequential test (CUSUM) over all calls of the fleet.

    The test keeps one score. Each failure raises the score. Each success lowers the score, but never below 0::

        score <- max(0, score - successes * ln((1 - normal) / (1 - broken)) / L) + failures * ln(broken / normal) / L
        L = ln(false_alarm_every)

    The circuit trips when the score reaches 1. A single success does not erase the evidence of earlier failures. A
    success at score 0 changes nothing, so a healthy breaker costs no write. The test is due to E. S. Page (Continuous
    inspection schemes, 1954). G. V. Moustakides (Optimal stopping times for detecting changes in distributions, 1986)
    proved that no other test detects the change sooner on average with as few false alarms.

    ``false_alarm_every`` limits the false alarms. If calls fail independently, at a rate of at most ``normal``, and
    every outcome counts, the circuit trips at most once in ``false_alarm_every`` calls on average. Between ``normal``
    and the rate at which the score begins to drift upwards (17 % for 2 to 50 %, 27 % for 10 to 50 %), false alarms
    grow quickly. So choose a ``normal`` above the worst rate of a healthy day. The table shows the mean number of calls
    between trips, computed numerically, for ``false_alarm_every`` 10,000,000:

    =========  ==================  ===================  ===================
    true rate  normal 2 %, 50 %    normal 5 %, 50 %     normal 10 %, 50 %
    =========  ==================  ===================  ===================
    1 %        6.4e9               4.4e13               1.5e17
    2 %        8.2e7               1.6e11               2.2e16
    5 %        215,000             6.1e7                4.8e11
    10 %       2,420               110,000              6.6e7
    20 %       86                  330                  5,900
    50 %       13                  20                   32
    100 %      6                   7                    11
    =========  ==================  ===================  ===================

    Args:
        normal: The highest share of failing calls on a healthy day; at least 1e-9, less than ``broken``.
        broken: The share of failing calls of a broken dependency; from 1e-6 to 1 - 1e-6.
        false_alarm_every: A lower bound of the mean number of calls between two false alarms; from 10 to 1e15.

    Raises:
        InvalidPolicyError: A value is out of range.
    """

    normal: float
    broken: float
    false_alarm_every: float = 10_000_000

    def __post_init__(self) -> None:
        broken = check_factor("broken", self.broken, 1e-6, 1.0 - 1e-6)
        normal = check_factor("normal", self.normal, 1e-9, broken)
        if normal >= broken:
            raise InvalidPolicyError(f"normal must be less than broken, {broken:g}; got {normal:g}")
        checked = {
            "normal": normal,
            "broken": broken,
            "false_alarm_every": check_factor("false_alarm_every", self.false_alarm_every, 10.0, 1e15),
        }
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    @cached_property
    def failure_step(self) -> float:
        """How much one failure raises the score. At a score of 1, the circuit opens."""
        return log(self.broken / self.normal) / log(self.false_alarm_every)

    @cached_property
    def success_step(self) -> float:
        """How much one success lowers the score. At a score of 1, the circuit opens."""
        return log((1.0 - self.normal) / (1.0 - self.broken)) / log(self.false_alarm_every)

    @cached_property
    def failures_to_trip(self) -> int:
        """How many failures open the circuit if the score is 0 before them and no success comes between them."""
        return max(1, ceil((1.0 - 1e-9) / self.failure_step))


@dataclass(frozen=True)
class BreakerPolicy:
    """The thresholds and times of one breaker.

    A policy belongs to the caller and is not stored. Every operation brings its policy, so a new value takes effect
    with the next call of each process.

    Args:
        failure_threshold: Failures in a row that open a closed circuit; at least 1. Not allowed together with ``trip``.
        recovery_timeout: Seconds for which an open circuit refuses calls before a caller may claim the probe (the one
            call that tests the dependency). 0 means that a caller may claim the probe at once.
        success_threshold: Successful probes in a row that close a half-open circuit; at least 1.
        probe_lease: Seconds for which a caller owns the probe before another caller may claim the probe; at least
            0.001. Choose more than the duration of the longest guarded call, or renew the lease during the call.
        backoff_multiplier: The factor by which the open time grows each time a probe fails, from 1 (fixed open time) to
            1,000.
        max_recovery_timeout: The longest open time in seconds, before jitter; at least ``recovery_timeout``. ``None``
            means 3,600 seconds, or ``recovery_timeout`` if ``recovery_timeout`` is longer.
        recovery_jitter: The largest random part by which an open time grows, from 0 (no growth) to 1 (up to double).
            With jitter, the breakers of a fleet do not probe at the same moment. Jitter never shortens an open time.
        trip: The `FailureRate` that opens a closed circuit. ``None`` means that ``failure_threshold`` opens the
            circuit.
        slow_after: Seconds from admission to report after which a successful call counts as a failure; at least 0.001.
            ``None`` means that no call is too slow.
        min_reporters: How many processes must report failures before the circuit can trip, from 1 to 100. A value above
            1 needs ``trip``.
        ramp_up: Seconds after closing during which the breaker admits a growing share of the calls. 0 means that the
            breaker admits all calls at once.

    Raises:
        InvalidPolicyError: A value is out of range, NaN or infinite, or two values cannot go together.
    """

    failure_threshold: int = _DEFAULT_THRESHOLD
    recovery_timeout: float = 60.0
    success_threshold: int = 1
    probe_lease: float = 60.0
    backoff_multiplier: float = 1.0
    max_recovery_timeout: float | None = None
    recovery_jitter: float = 0.0
    trip: FailureRate | None = None
    slow_after: float | None = None
    min_reporters: int = 1
    ramp_up: float = 0.0

    def __post_init__(self) -> None:
        check_threshold("failure_threshold", self.failure_threshold)
        check_threshold("success_threshold", self.success_threshold)
        self._check_trip()
        checked = {
            "recovery_timeout": check_seconds("recovery_timeout", self.recovery_timeout),
            "probe_lease": check_seconds("probe_lease", self.probe_lease, minimum=0.001),
            "backoff_multiplier": check_factor("backoff_multiplier", self.backoff_multiplier, 1.0, 1000.0),
            "recovery_jitter": check_factor("recovery_jitter", self.recovery_jitter, 0.0, 1.0),
            "ramp_up": check_seconds("ramp_up", self.ramp_up),
        }
        if self.max_recovery_timeout is not None:
            checked["max_recovery_timeout"] = check_seconds(
                "max_recovery_timeout", self.max_recovery_timeout, minimum=float(self.recovery_timeout)
            )
        if self.slow_after is not None:
            checked["slow_after"] = check_seconds("slow_after", self.slow_after, minimum=0.001)
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    def _check_trip(self) -> None:
        if self.trip is not None and not isinstance(self.trip, FailureRate):
            raise InvalidPolicyError(
                f"trip must be a FailureRate or None, got {type(self.trip).__name__}: write trip=FailureRate(0.05, 0.5)"
            )
        if self.trip is not None and not isinstance(self.failure_threshold, _Default):
            raise InvalidPolicyError("give trip or failure_threshold, not both: each alone decides when to open")
        check_threshold("min_reporters", self.min_reporters, maximum=MAX_REPORTERS)
        if self.min_reporters > 1 and self.trip is None:
            raise InvalidPolicyError("min_reporters above 1 needs a score: write trip=FailureRate(0.05, 0.5) as well")

    @cached_property
    def failures_to_trip(self) -> int:
        """How many failures open a closed circuit that has no earlier failures, if no success comes between them."""
        return self.failure_threshold if self.trip is None else self.trip.failures_to_trip

    @cached_property
    def recovery_timeout_cap(self) -> float:
        """The longest open time in seconds, before jitter.

        It is ``max_recovery_timeout``. If that is ``None``, it is 3,600, or ``recovery_timeout`` if that is longer.
        """
        if self.max_recovery_timeout is not None:
            return self.max_recovery_timeout
        return max(3600.0, self.recovery_timeout)


DEFAULT_POLICY = BreakerPolicy()
"""The default policy: 5 failures open the circuit for 60 seconds, and 1 successful probe closes the circuit."""


def policy_of(failure_threshold: int, recovery_timeout: float) -> BreakerPolicy:
    """Return the policy with these two values. The same values give the same object, because the checks take time.

    Args:
        failure_threshold: See `BreakerPolicy`.
        recovery_timeout: See `BreakerPolicy`.

    Raises:
        InvalidPolicyError: A value is out of range.
    """
    try:
        return _kept_policy(failure_threshold, recovery_timeout)
    except TypeError:  # Every number can be a key, so the value is not a number. The policy says which one.
        return BreakerPolicy(failure_threshold=failure_threshold, recovery_timeout=recovery_timeout)


@lru_cache(maxsize=128, typed=True)
def _kept_policy(failure_threshold: int, recovery_timeout: float) -> BreakerPolicy:
    return BreakerPolicy(failure_threshold=failure_threshold, recovery_timeout=recovery_timeout)
