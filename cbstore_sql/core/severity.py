"""The urgency of a breaker as a number: the order of lists that show the worst breaker first.

Like the rules of `core.rules`, these functions work on numbers and on SQL columns, so that a database can sort by them.
"""

from __future__ import annotations

from typing import Any

from cbstore_sql.core.rules import CLOSED, HALF_OPEN, OPEN, SHADOW, When

REFUSING = 3
PROBING = 2
TROUBLED = 1
FINE = 0


def severity(row: Any, now: Any, when: When) -> Any:
    """Return how urgent the condition of a breaker is.

    Args:
        row: The columns of one breaker.
        now: The store's clock, Unix seconds.
        when: The function ``when(condition, a, b)`` of the caller's backend: ``a`` if the condition holds, else ``b``.

    Returns:
        `REFUSING` if the circuit is open, locked open or closed with a hold that no override cancels. Otherwise
        `PROBING` if the circuit is half_open. Otherwise `TROUBLED` if the circuit has failures in a row or an override.
        Otherwise `FINE`.
    """
    override = active_override(row, now, when)
    held = (row.hold_until > now) & (row.state == CLOSED) & (override != CLOSED) & (override != SHADOW)
    refusing = (override == OPEN) | (row.state == OPEN) | held
    troubled = (row.failure_count > 0) | (override != "")
    return when(refusing, REFUSING, when(row.state == HALF_OPEN, PROBING, when(troubled, TROUBLED, FINE)))


def active_override(row: Any, now: Any, when: When) -> Any:
    """Return the override in force, or ``""`` if there is no override; see `Snapshot.active_override`.

    Args:
        row: The columns of one breaker.
        now: The store's clock, Unix seconds.
        when: See `severity`.
    """
    return when((row.override_until == 0.0) | (row.override_until > now), row.override, "")
