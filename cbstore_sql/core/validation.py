"""Checks of what callers give: each returns the checked value or raises a typed error that says what is allowed."""

from __future__ import annotations

import sys
from typing import Any

from cbstore_sql.core.model import OVERRIDES, State
from cbstore_sql.errors import ConfigurationError, InvalidNameError, InvalidPolicyError, InvalidStateError

MAX_SECONDS = 1e9
"""The longest duration a store takes, seconds (about 31 years): sums with the clock stay exact."""

MAX_THRESHOLD = 1_000_000_000
"""The largest threshold a store takes."""

_LARGEST_SHOWN = 10**20

MAX_NAME_BYTES = 512
"""The longest breaker name or namespace, in bytes of UTF-8."""

MAX_TOKEN_BYTES = 256
"""The longest probe token, in bytes of UTF-8."""

MAX_NOTE_BYTES = 256
"""The longest actor or reason of an override, in bytes of UTF-8."""

MAX_TIME = 1e11
"""The latest moment a store takes, Unix seconds (the year 5138)."""

MAX_COUNT = 10**15
"""The largest count a store takes: whole numbers up to here are exact in every backend."""


def is_number(value: Any, low: float, high: float) -> bool:
    """Whether a value is a number in a range; a bool, NaN and infinity do not count as numbers."""
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
        InvalidPolicyError: The value is not a finite number between ``minimum`` and ``MAX_SECONDS``.
    """
    if not is_number(value, minimum, MAX_SECONDS):
        raise InvalidPolicyError(f"{label} must be {minimum:g} to {MAX_SECONDS:g} seconds, got {shown(value)}")
    return float(value)


DEFAULT_STORE_TIMEOUT = 0.25
"""Seconds within which a store must answer, unless a breaker is told otherwise."""


def check_store_timeout(value: float | None) -> float | None:
    """Return the time a store is given as a float (``None`` stays ``None``), or say what is wrong with it.

    Raises:
        InvalidPolicyError: The value is not a finite number of seconds ≥ 0.001.
    """
    return None if value is None else check_seconds("store_timeout", value, minimum=0.001)


def check_flush_interval(value: float, store_timeout: float | None) -> float:
    """Return the time failures wait for one another as a float, or say what is wrong with it.

    Args:
        value: Seconds; 0 for none.
        store_timeout: Seconds within which they are to be written; ``None`` for any number.

    Raises:
        InvalidPolicyError: The value is not a number of seconds of at least 0, or not shorter than ``store_timeout``.
    """
    seconds = check_seconds("flush_interval", value)
    if store_timeout is not None and seconds >= store_timeout:
        raise InvalidPolicyError(f"flush_interval must be shorter than store_timeout, {store_timeout:g} seconds")
    return seconds


def check_threshold(label: str, value: int, *, maximum: int = MAX_THRESHOLD) -> int:
    """Return a threshold, or say what is wrong with it.

    Raises:
        InvalidPolicyError: It is not a whole number from 1 to ``maximum``.
    """
    if isinstance(value, float) or not is_number(value, 1, maximum):
        raise InvalidPolicyError(f"{label} must be a whole number from 1 to {maximum}, got {shown(value)}")
    return value


def check_factor(label: str, value: float, low: float, high: float) -> float:
    """Return a number as a float, or say what is wrong with it.

    Raises:
        InvalidPolicyError: The value is not a number from ``low`` to ``high``.
    """
    # A whole number beyond every float is not infinite, and no float either.
    if not is_number(value, low, high) or (isinstance(value, int) and value > sys.float_info.max):
        raise InvalidPolicyError(f"{label} must be a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def check_name(label: str, value: str, *, limit: int = MAX_NAME_BYTES) -> str:
    """Return a name if every store can keep it.

    Args:
        label: What the name is called in the message.
        value: The name; it may be empty and of any script.
        limit: The longest size, in bytes of UTF-8.

    Raises:
        InvalidNameError: The name is not text, contains a NUL or a lone surrogate, or is too long.
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
    """Return a moment as a float (``None`` stays ``None``: the store's clock), if it is valid.

    Raises:
        InvalidStateError: The value is not a finite number between 0 and `MAX_TIME`.
    """
    if value is None:
        return None
    if not is_number(value, 0, MAX_TIME):
        raise InvalidStateError(f"{label} must be 0 to {MAX_TIME:g} Unix seconds, got {shown(value)}")
    return float(value)


def check_count(label: str, value: int, *, minimum: int = 0) -> int:
    """Return a count if it is a valid whole number.

    Raises:
        InvalidStateError: The value is not a whole number between ``minimum`` and `MAX_COUNT`.
    """
    if isinstance(value, float) or not is_number(value, minimum, MAX_COUNT):
        raise InvalidStateError(f"{label} must be a whole number from {minimum} to {MAX_COUNT}, got {shown(value)}")
    return value


def check_flag(label: str, value: bool) -> int:
    """Return 1 for ``True`` and 0 for ``False``, or say that it is neither.

    Raises:
        InvalidStateError: The value is not a bool.
    """
    if not isinstance(value, bool):
        raise InvalidStateError(f"{label} must be True or False, got {shown(value)}")
    return int(value)


def check_state(label: str, value: str) -> str:
    """Return the text of a state if it is a known state.

    Raises:
        InvalidStateError: It is not ``"closed"``, ``"open"`` or ``"half_open"``.
    """
    try:
        return State(value).value
    except ValueError:
        raise InvalidStateError(f"{label} must be one of closed, open, half_open") from None


def check_override(value: str) -> str:
    """Return the mode of an override, or say which modes there are.

    Raises:
        InvalidStateError: It is not ``"open"``, ``"closed"`` or ``"shadow"``.
    """
    if not isinstance(value, str) or value not in OVERRIDES:
        raise InvalidStateError(f"mode must be one of {', '.join(OVERRIDES)}, got {shown(value)}")
    return value


def check_note(label: str, value: str) -> str:
    """Return an actor or a reason, or say what is wrong with it.

    Raises:
        InvalidNameError: It is empty, not text, has a NUL or a lone surrogate, or is longer than `MAX_NOTE_BYTES`.
    """
    if value == "":
        raise InvalidNameError(f"{label} must not be empty: it is shown to whoever looks at the breaker next")
    return check_name(label, value, limit=MAX_NOTE_BYTES)


DEFAULT_MAX_BREAKERS = 10_000
"""Breakers of one namespace that a store keeps unless it is told otherwise."""

_LARGEST = 10**9


def check_max_breakers(value: int | None) -> int | None:
    """Return how many breakers a namespace may hold (``None``: any number), if the value is valid.

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
