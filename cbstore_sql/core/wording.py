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
    """Write a duration for people, such as ``"2 h"``, ``"1 h 30 min"`` or ``"0.2 s"``.

    The text has the largest unit that fits, and the next smaller unit if its number is not 0.

    Args:
        seconds: The duration in seconds, at least 0.
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
    """Convert a duration that a person wrote, such as ``1h30m``, to seconds.

    Args:
        text: The duration, such as ``90s``, ``10m``, ``1h30m``, ``2d`` or ``1w``.

    Returns:
        The duration in seconds.

    Raises:
        ValueError: The text is not a duration. The message says how to write a duration.
    """
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError("write a number and a unit (s, m, h, d or w), such as 10m or 1h30m")
    return sum(float(part[1]) * _WRITTEN_UNITS[part[2]] for part in parts)


def moment(seconds: float) -> datetime | None:
    """Convert Unix seconds to a `datetime` in UTC. 0.0, which stores use for "never", gives ``None``.

    Args:
        seconds: The time, Unix seconds. A time after the year 9998 gives the beginning of 9999.
    """
    if seconds == 0.0:
        return None
    return datetime.fromtimestamp(min(seconds, _LATEST.timestamp()), timezone.utc)


def iso(seconds: float) -> str | None:
    """Convert Unix seconds to ISO 8601 text in UTC. 0.0, which stores use for "never", gives ``None``.

    Args:
        seconds: The time, Unix seconds. A time after the year 9998 gives the beginning of 9999.
    """
    time = moment(seconds)
    return time.isoformat() if time else None


def holder(token: str) -> str:
    """Return the host and the process id of a probe's owner, without the random end of the token.

    Args:
        token: The token of the probe, as `model.new_token` makes it. A text without ``/`` is returned as it is.
    """
    return token.rpartition("/")[0] or token


def printable(text: str) -> str:
    """Escape the characters of a text that could deceive a reader or control a terminal.

    Args:
        text: The text, such as the name of a breaker. An empty text gives two quotes, ``''``.
    """
    escaped = (c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped) or "''"
