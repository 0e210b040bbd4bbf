"""How the command line, the panel and the explanations write times, names and owners for people."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from itertools import pairwise

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_WRITTEN_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(min|[smhdw])", re.ASCII)

# Durations shorter than this number of seconds are shown with tenths of a second.
_FINE = 10.0

# `datetime` ends with the year 9999, but columns may hold later times. A later time is shown as this time.
_LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc)


def duration(seconds: float) -> str:
    """Return a duration as text, in the largest unit that fits.

    The next smaller unit follows, unless the number of smaller units is 0.

    Args:
        seconds: The duration in seconds, at least 0. 7200 is ``"2 h"``, 5400 ``"1 h 30 min"``, 0.25 ``"0.2 s"``.
    """
    if seconds < _FINE:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for (unit, size), (small_unit, small) in pairwise(_UNITS):
        # The duration is rounded to the smaller unit first, so that 59.9 min becomes 1 h and not 60 min.
        small_count = round(seconds / small)
        count, rest = divmod(small_count, size // small)
        if count:
            return f"{count} {unit} {rest} {small_unit}" if rest else f"{count} {unit}"
    return f"{seconds:.0f} s"


def parse_duration(text: str) -> float:
    """Return the seconds of a duration that a person wrote.

    Args:
        text: The duration, such as ``90s``, ``10m``, ``1h30m``, ``2d`` or ``1w``.

    Returns:
        Seconds.

    Raises:
        ValueError: The text is not a duration. The message says how to write a duration.
    """
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError("write a number and a unit (s, m, h, d or w), such as 10m or 1h30m")
    return sum(float(part[1]) * _WRITTEN_UNITS[part[2]] for part in parts)


def moment(seconds: float) -> datetime | None:
    """Return a time of the store as a `datetime` in UTC, or ``None`` for 0.0, which means never.

    Args:
        seconds: The time, Unix seconds.
    """
    if seconds == 0.0:
        return None
    return datetime.fromtimestamp(min(seconds, _LATEST.timestamp()), timezone.utc)


def iso(seconds: float) -> str | None:
    """Return a time of the store as ISO 8601 text in UTC, or ``None`` for 0.0, which means never.

    Args:
        seconds: The time, Unix seconds.
    """
    time = moment(seconds)
    return time.isoformat() if time else None


def holder(token: str) -> str:
    """Return the readable part of a probe token: host and process id, without the random end."""
    return token.rpartition("/")[0] or token


def printable(text: str) -> str:
    """Return a text in which escapes replace dangerous characters.

    Dangerous characters could move the cursor, change colours or imitate another name.

    Args:
        text: The text, such as the name of a breaker.
    """
    escaped = (c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped) or "''"
