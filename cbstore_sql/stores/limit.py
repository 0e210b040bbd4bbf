"""How many breakers a namespace may hold: a name made from what a user typed must not fill the database."""

from __future__ import annotations

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.policy import shown

DEFAULT_MAX_BREAKERS = 10_000
"""Breakers of one namespace that a store keeps unless it is told otherwise."""

_LARGEST = 10**9


def check_max_breakers(value: int | None) -> int | None:
    """Return how many breakers a namespace may hold (``None``: any number), or say that it is none.

    Raises:
        ConfigurationError: It is no whole number from 1 to 10**9.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
        raise ConfigurationError(
            f"max_breakers must be a whole number from 1 to {_LARGEST}, or None; got {shown(value)}"
        )
    return value
