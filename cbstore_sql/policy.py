"""When a breaker trips, how long it stays open, and what closes it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from cbstore_sql.errors import InvalidPolicyError

MAX_SECONDS = 1e9
"""The longest duration a store takes, seconds (about 31 years): sums with the clock stay exact."""

MAX_THRESHOLD = 1_000_000_000
"""The largest threshold a store takes."""

_LARGEST_SHOWN = 10**20


def is_number(value: Any, low: float, high: float) -> bool:
    """Whether a value is a number in a range; a bool, NaN and infinity are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def shown(value: object) -> str:
    """Show a refused value in a message; Python itself refuses to write out a number of thousands of digits."""
    endless = isinstance(value, int) and abs(value) > _LARGEST_SHOWN
    return "a number far beyond that" if endless else repr(value)


def check_seconds(label: str, value: float, *, minimum: float = 0.0) -> float:
    """Return a duration as a float, or say what is wrong with it.

    Args:
        label: What the duration is called in the message.
        value: Seconds.
        minimum: The smallest duration allowed, seconds.

    Raises:
        InvalidPolicyError: It is no finite number between ``minimum`` and ``MAX_SECONDS``.
    """
    if not is_number(value, minimum, MAX_SECONDS):
        raise InvalidPolicyError(f"{label} must be {minimum:g} to {MAX_SECONDS:g} seconds, got {shown(value)}")
    return float(value)


DEFAULT_STORE_TIMEOUT = 0.25
"""Seconds within which a store must answer, unless a breaker is told otherwise."""


def check_store_timeout(value: float | None) -> float | None:
    """Return the time a store is given as a float (``None`` stays ``None``), or say what is wrong with it.

    Raises:
        InvalidPolicyError: It is no number of seconds from a thousandth on.
    """
    return None if value is None else check_seconds("store_timeout", value, minimum=0.001)


def check_flush_interval(value: float, store_timeout: float | None) -> float:
    """Return the time failures wait for one another as a float, or say what is wrong with it.

    Args:
        value: Seconds; 0 for none.
        store_timeout: Seconds within which they are to be written; ``None`` for any number.

    Raises:
        InvalidPolicyError: It is no number of seconds from 0, or as long as they have.
    """
    seconds = check_seconds("flush_interval", value)
    if store_timeout is not None and seconds >= store_timeout:
        raise InvalidPolicyError(f"flush_interval must be shorter than store_timeout, {store_timeout:g} seconds")
    return seconds


def check_count(label: str, value: int) -> int:
    """Return a threshold, or say what is wrong with it.

    Raises:
        InvalidPolicyError: It is no whole number between 1 and ``MAX_THRESHOLD``.
    """
    if isinstance(value, float) or not is_number(value, 1, MAX_THRESHOLD):
        raise InvalidPolicyError(f"{label} must be a whole number from 1 to {MAX_THRESHOLD}, got {shown(value)}")
    return value


def check_factor(label: str, value: float, low: float, high: float) -> float:
    """Return a number as a float, or say what is wrong with it.

    Raises:
        InvalidPolicyError: It is no number from ``low`` to ``high``.
    """
    # A whole number beyond every float is not infinite, and no float either.
    if not is_number(value, low, high) or (isinstance(value, int) and value > sys.float_info.max):
        raise InvalidPolicyError(f"{label} must be a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


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
        check_count("failure_threshold", self.failure_threshold)
        check_count("success_threshold", self.success_threshold)
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
