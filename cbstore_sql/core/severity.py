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
    """Return a number from 0 to 3 that says how urgently a breaker needs attention.

    Args:
        row: The columns of one breaker, as Python values or as SQL columns.
        now: The time by the store's clock, Unix seconds.
        when: The function ``when(condition, a, b)`` that fits the columns. It returns ``a`` if the condition holds,
            else ``b``.

    Returns:
        3 (`REFUSING`) if the breaker refuses all calls: the circuit is open, an operator locked it open, or it is
        closed with a hold that no override cancels. Otherwise 2 (`PROBING`) if the circuit is half_open. Otherwise 1
        (`TROUBLED`) if the breaker has failures in a row or an override. Otherwise 0 (`FINE`). For SQL columns, an SQL
        expression with this value.
    """
    override = active_override(row, now, when)
    held = (row.hold_until > now) & (row.state == CLOSED) & (override != CLOSED) & (override != SHADOW)
    refusing = (override == OPEN) | (row.state == OPEN) | held
    troubled = (row.failure_count > 0) | (override != "")
    return when(refusing, REFUSING, when(row.state == HALF_OPEN, PROBING, when(troubled, TROUBLED, FINE)))


def active_override(row: Any, now: Any, when: When) -> Any:
    """Return the operator's setting in force: ``"open"``, ``"closed"`` or ``"shadow"``, or ``""`` without one.

    Args:
        row: The columns of one breaker, as Python values or as SQL columns.
        now: The time by the store's clock, Unix seconds.
        when: The function ``when(condition, a, b)`` that fits the columns. It returns ``a`` if the condition holds,
            else ``b``.
    """
    return when((row.override_until == 0.0) | (row.override_until > now), row.override, "")
