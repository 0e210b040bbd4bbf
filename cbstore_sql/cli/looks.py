"""How a breaker looks to people."""

from __future__ import annotations

STATE_STYLES = {"closed": "green", "half_open": "bold yellow", "open": "bold red"}
"""rich's style for each state."""


def holder(token: str) -> str:
    """Return the readable part of a probe token: its random end tells a person nothing."""
    return token.rpartition("/")[0] or token
