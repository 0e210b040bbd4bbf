"""How much a breaker deserves to be looked at: the order of lists that show the worst first.

Like the rules of `core.rules` it reads numbers and SQL columns alike, so that a database can sort by it.
"""

from __future__ import annotations

from typing import Any

from cbstore_sql.core.rules import CLOSED, HALF_OPEN, OPEN, SHADOW, When

REFUSING = 3
PROBING = 2
TROUBLED = 1
FINE = 0


def severity(row: Any, now: Any, when: When) -> Any:
    """Return `REFUSING`, `PROBING`, `TROUBLED` (failures or an override) or `FINE`.

    Args:
        row: The columns of one breaker.
        now: The store's clock, Unix seconds.
        when: ``when(condition, a, b)``.
    """
    override = active_override(row, now, when)
    held = (row.hold_until > now) & (row.state == CLOSED) & (override != CLOSED) & (override != SHADOW)
    refusing = (override == OPEN) | (row.state == OPEN) | held
    troubled = (row.failure_count > 0) | (override != "")
    return when(refusing, REFUSING, when(row.state == HALF_OPEN, PROBING, when(troubled, TROUBLED, FINE)))


def active_override(row: Any, now: Any, when: When) -> Any:
    """Return the override in force, ``""`` for none; see `Snapshot.active_override`."""
    return when((row.override_until == 0.0) | (row.override_until > now), row.override, "")
