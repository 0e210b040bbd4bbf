"""Checks of the values that callers pass: each function returns the checked value or raises a typed error."""

from __future__ import annotations

import sys
from typing import Any

from cbstore_sql.core.model import OVERRIDES, State
from cbstore_sql.errors import ConfigurationError, InvalidNameError, InvalidPolicyError, InvalidStateError

MAX_SECONDS = 1e9
"""The longest duration that a store accepts, seconds (about 31 years). Sums with the clock stay exact."""

MAX_THRESHOLD = 1_000_000_000
"""The largest threshold that a store accepts."""

_LARGEST_SHOWN = 10**20

MAX_NAME_BYTES = 512
"""The longest breaker name or namespace, in bytes of UTF-8."""

MAX_TOKEN_BYTES = 256
"""The longest probe token, in bytes of UTF-8."""

MAX_NOTE_BYTES = 256
"""The longest actor or reason of an override, in bytes of UTF-8."""

MAX_TIME = 1e11
"""The latest moment that a store accepts, Unix seconds (the year 5138)."""

MAX_COUNT = 10**15
"""The largest count that a store accepts. Whole numbers up to this count are exact in every backend."""


def is_number(value: Any, low: float, high: float) -> bool:
    """Return whether a value is a number in a range. A bool, NaN and infinity do not count as numbers.

    Args:
        value: The value to check.
        low: The smallest number in the range.
        high: The largest number in the range.
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def shown(value: object) -> str:
    """Return a refused value as text for an error message.

    The text does not contain the digits of a whole number beyond 10**20, because Python refuses to write very many
    digits.

    Args:
        value: The refused value.
    """
    endless = isinstance(value, int) and abs(value) > _LARGEST_SHOWN
    return "a number far beyond that" if endless else repr(value)


def check_seconds(label: str, value: float, *, minimum: float = 0.0) -> float:
    """Check a duration and return it as a float.

    Args:
        label: The name of the duration in the error message.
        value: The duration in seconds.
        minimum: The shortest duration that is allowed, seconds.

    Raises:
        InvalidPolicyError: The value is not a finite number from ``minimum`` to `MAX_SECONDS`.
    """
    if not is_number(value, minimum, MAX_SECONDS):
        raise InvalidPolicyError(f"{label} must be {minimum:g} to {MAX_SECONDS:g} seconds, got {shown(value)}")
    return float(value)


DEFAULT_STORE_TIMEOUT = 0.25
"""Seconds within which a store must answer, unless the breaker has another ``store_timeout``."""


def check_store_timeout(value: float | None) -> float | None:
    """Check the time within which a store must answer, and return it as a float.

    Args:
        value: Seconds, at least 0.001. ``None`` means no limit, and the function returns ``None``.

    Raises:
        InvalidPolicyError: The value is not a finite number of seconds ≥ 0.001.
    """
    return None if value is None else check_seconds("store_timeout", value, minimum=0.001)


def check_flush_interval(value: float, store_timeout: float | None) -> float:
    """Check the time for which a failure may wait to be written together with others; return it as a float.

    Args:
        value: The time in seconds; 0 means that every failure is written at once.
        store_timeout: Seconds within which the store must answer; the time must be shorter. ``None`` means no limit.

    Raises:
        InvalidPolicyError: The time is not a number of seconds of at least 0, or is not shorter than ``store_timeout``.
    """
    seconds = check_seconds("flush_interval", value)
    if store_timeout is not None and seconds >= store_timeout:
        raise InvalidPolicyError(f"flush_interval must be shorter than store_timeout, {store_timeout:g} seconds")
    return seconds


def check_threshold(label: str, value: int, *, maximum: int = MAX_THRESHOLD) -> int:
    """Check a threshold and return it.

    Args:
        label: The name of the threshold in the error message.
        value: The threshold.
        maximum: The largest threshold that is allowed.

    Raises:
        InvalidPolicyError: The value is not a whole number from 1 to ``maximum``.
    """
    if isinstance(value, float) or not is_number(value, 1, maximum):
        raise InvalidPolicyError(f"{label} must be a whole number from 1 to {maximum}, got {shown(value)}")
    return value


def check_factor(label: str, value: float, low: float, high: float) -> float:
    """Check that a number is in a range, and return it as a float.

    Args:
        label: The name of the number in the error message.
        value: The number.
        low: The smallest number that is allowed.
        high: The largest number that is allowed.

    Raises:
        InvalidPolicyError: The value is not a number from ``low`` to ``high``.
    """
    # A whole number can be too large for a float.
    if not is_number(value, low, high) or (isinstance(value, int) and value > sys.float_info.max):
        raise InvalidPolicyError(f"{label} must be a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def check_name(label: str, value: str, *, limit: int = MAX_NAME_BYTES) -> str:
    """Check that every store can keep a name, and return the name.

    Args:
        label: What the error message calls the name.
        value: The name. An empty name and names of any script are allowed.
        limit: The longest name that is allowed, in bytes of UTF-8.

    Raises:
        InvalidNameError: The name is not text, contains a NUL character or a character that UTF-8 cannot encode (a lone
            surrogate), or is too long.
    """
    if not isinstance(value, str):
        raise InvalidNameError(f"{label} must be text, got {type(value).__name__}")
    if "\x00" in value:
        raise InvalidNameError(f"{label} must not contain NUL characters")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidNameError(f"{label} must not contain lone surrogates") from None
    if size > limit:
        raise InvalidNameError(f"{label} must be at most {limit} bytes of UTF-8, got {size}")
    return value


def check_time(label: str, value: float | None) -> float | None:
    """Check a moment and return it as a float.

    Args:
        label: The name of the moment in the error message.
        value: Unix seconds. ``None`` means the store's clock, and the function returns ``None``.

    Raises:
        InvalidStateError: The value is not a finite number from 0 to `MAX_TIME`.
    """
    if value is None:
        return None
    if not is_number(value, 0, MAX_TIME):
        raise InvalidStateError(f"{label} must be 0 to {MAX_TIME:g} Unix seconds, got {shown(value)}")
    return float(value)


def check_count(label: str, value: int, *, minimum: int = 0) -> int:
    """Check a count and return it.

    Args:
        label: The name of the count in the error message.
        value: The count.
        minimum: The smallest count that is allowed.

    Raises:
        InvalidStateError: The value is not a whole number from ``minimum`` to `MAX_COUNT`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= MAX_COUNT:
        raise InvalidStateError(f"{label} must be a whole number from {minimum} to {MAX_COUNT}, got {shown(value)}")
    return value


def check_flag(label: str, value: bool) -> int:
    """Check a bool and return 1 for ``True`` and 0 for ``False``.

    Args:
        label: The name of the bool in the error message.
        value: The bool.

    Raises:
        InvalidStateError: The value is not a bool.
    """
    if not isinstance(value, bool):
        raise InvalidStateError(f"{label} must be True or False, got {shown(value)}")
    return int(value)


def check_state(label: str, value: str) -> str:
    """Check a state and return its text.

    Args:
        label: The name of the state in the error message.
        value: ``"closed"``, ``"open"`` or ``"half_open"``, or a `State`.

    Raises:
        InvalidStateError: The value is not ``"closed"``, ``"open"`` or ``"half_open"``.
    """
    try:
        return State(value).value
    except ValueError:
        raise InvalidStateError(f"{label} must be one of closed, open, half_open") from None


def check_override(value: str) -> str:
    """Check the mode of an override (the setting by which an operator overrides the state) and return the mode.

    Args:
        value: ``"open"``, ``"closed"`` or ``"shadow"``.

    Raises:
        InvalidStateError: The value is not ``"open"``, ``"closed"`` or ``"shadow"``.
    """
    if not isinstance(value, str) or value not in OVERRIDES:
        raise InvalidStateError(f"mode must be one of {', '.join(OVERRIDES)}, got {shown(value)}")
    return value


def check_note(label: str, value: str) -> str:
    """Check the text that says who changed an override or why, and return the text.

    Args:
        label: What the error message calls the text.
        value: The author or the reason.

    Raises:
        InvalidNameError: The value is empty, is not text, contains a NUL character or a character that UTF-8 cannot
            encode (a lone surrogate), or is longer than `MAX_NOTE_BYTES`.
    """
    if value == "":
        raise InvalidNameError(f"{label} must not be empty: it is shown to whoever looks at the breaker next")
    return check_name(label, value, limit=MAX_NOTE_BYTES)


DEFAULT_MAX_BREAKERS = 10_000
"""How many breakers a namespace may hold, unless the store has another ``max_breakers``."""

_LARGEST = 10**9


def check_max_breakers(value: int | None) -> int | None:
    """Check the largest number of breakers that a namespace may hold, and return the number.

    Args:
        value: The number of breakers. ``None`` means no limit, and the function returns ``None``.

    Raises:
        ConfigurationError: The value is not a whole number from 1 to 10**9.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
        raise ConfigurationError(
            f"max_breakers must be a whole number from 1 to {_LARGEST}, or None; got {shown(value)}"
        )
    return value
