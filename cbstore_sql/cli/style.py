"""How a breaker looks to people."""

from __future__ import annotations

from datetime import datetime, timezone

STATE_STYLES = {"closed": "green", "half_open": "bold yellow", "open": "bold red"}
"""rich's style for each state."""

# The calendar ends with the year 9999, columns may hold more; what is later than this is shown as this.
_LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc)


def holder(token: str) -> str:
    """Return the readable part of a probe token: its random end tells a person nothing."""
    return token.rpartition("/")[0] or token


def moment(seconds: float) -> datetime | None:
    """Return a time of the store in UTC; 0.0 means never: ``None``."""
    if seconds == 0.0:
        return None
    return datetime.fromtimestamp(min(seconds, _LATEST.timestamp()), timezone.utc)
