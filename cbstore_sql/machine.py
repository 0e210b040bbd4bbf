"""The rules run on numbers, for stores that hold the row in hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cbstore_sql.commands import Command
from cbstore_sql.model import Row
from cbstore_sql.rules import OPERATIONS


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def step(row: Row, command: Command, now: float) -> Row | None:
    """Apply one command to one row.

    Args:
        row: The breaker as it is; a missing one is ``Row()``.
        command: What to do.
        now: The store's clock, Unix seconds; used where the command brings no time of its own.

    Returns:
        The breaker after it, or ``None`` where the rule's condition does not hold.
    """
    given = SimpleNamespace(**command.given)
    given.now = command.clock(now)
    change = OPERATIONS[command.operation](row, given, _choose)
    return replace(row, **change.values) if change.where else None
