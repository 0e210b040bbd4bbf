"""Parsers for one value that gives the length of a wait: a number, a duration, a date or a Unix time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_WORDS = {"day": "d", "hour": "h", "hr": "h", "minute": "m", "min": "m", "second": "s", "sec": "s"}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(milliseconds?|[a-zµμ]+)", re.IGNORECASE)
_ISO_DURATION = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_NAMED_DATE = re.compile(r"[A-Za-z]{3,9},? ")

_SCALES = (1.0, 1e3, 1e6, 1e9)
"""The units of Unix times that servers send: seconds, milliseconds, microseconds and nanoseconds."""

_PAST, _FUTURE = 366 * 86_400.0, 5 * 366 * 86_400.0
"""A number from now - `_PAST` to now + `_FUTURE`, in seconds, is a Unix time. No server asks for such a long wait."""


def seconds_asked(value: Any, now: float) -> float | None:
    """Read the wait that a server asks for, in seconds, from one header or one field of a body.

    Args:
        value: The header or the field: ``30``, ``"30s"``, ``"6m0s"``, ``"45.8 seconds"``, ``"PT30S"``, an HTTP date, an
            RFC 3339 date, or a Unix time in seconds, milliseconds, microseconds or nanoseconds. A number that is not a
            Unix time is in seconds.
        now: The current time in Unix seconds by the server's clock.

    Returns:
        The wait in seconds; 0.0 for a date in the past. ``None`` if the value is negative, not finite, or has a
        different format.
    """
    try:
        return _read(value, now)
    except Exception:  # noqa: BLE001 - the parsers raise many kinds of errors for hostile values
        return None


def milliseconds_asked(value: Any, now: float) -> float | None:
    """Read the wait that a server asks for from a value whose plain numbers are milliseconds.

    Args:
        value: A number of milliseconds, or any other value of `seconds_asked`.
        now: The current time in Unix seconds by the server's clock.

    Returns:
        The wait in seconds; 0.0 for a date in the past. ``None`` if the value is negative, not finite, or has a
        different format.
    """
    number = _plain_number(value)
    return seconds_asked(value, now) if number is None else _checked(number / 1000)


def _read(value: Any, now: float) -> float | None:
    if isinstance(value, timedelta):
        return _checked(value.total_seconds())
    number = _plain_number(value)
    if number is not None:
        return _from_number(number, now)
    if not isinstance(value, str):
        return None
    said = value.strip()
    for read in _READERS:
        seconds = read(said, now)
        if seconds is not None:
            return _checked(seconds)
    return None


def _plain_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str):
        # A proxy may merge two headers with the value 5 into "5, 5".
        parts = [part.strip() for part in value.split(",")]
        if all(_NUMBER.fullmatch(part) for part in parts):
            return max(float(part) for part in parts)
    return None


def _from_number(number: float, now: float) -> float | None:
    for scale in _SCALES:
        if now - _PAST <= number / scale <= now + _FUTURE:
            return max(0.0, number / scale - now)
    return _checked(number)


def _checked(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _duration(said: str, now: float) -> float | None:
    total, end = 0.0, 0
    for part in _PART.finditer(said):
        if said[end : part.start()].strip(" ,"):
            return None
        unit = part[2].lower()
        if unit.startswith("milli"):
            unit = "ms"
        unit = _WORDS.get(unit.rstrip("s"), unit)
        if unit not in _UNITS:
            return None
        total += float(part[1]) * _UNITS[unit]
        end = part.end()
    return total if end and end == len(said) else None


def _iso_duration(said: str, now: float) -> float | None:
    found = _ISO_DURATION.fullmatch(said)
    if found is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3_600 + minutes * 60 + seconds


def _rfc3339(said: str, now: float) -> float | None:
    try:
        # Python 3.10 cannot read the Z, and can read fractions of 3 or 6 digits only.
        plain = re.sub(r"\.(\d{1,6})\d*", lambda found: f".{found[1]:0<6}", re.sub(r"[zZ]$", "+00:00", said))
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return None
    return _until(moment, now)


def _http_date(said: str, now: float) -> float | None:
    # The parser would read "5;" and "30 x" as dates. A real HTTP date begins with the name of the day.
    return _until(parsedate_to_datetime(said), now) if _NAMED_DATE.match(said) else None


def _until(moment: datetime, now: float) -> float:
    """Return the seconds from ``now`` until a moment, at least 0. A moment without a zone is in GMT."""
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() - now)


_READERS: tuple[Callable[[str, float], float | None], ...] = (_duration, _iso_duration, _rfc3339, _http_date)
