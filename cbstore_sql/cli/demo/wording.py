"""Texts that the plain and the live view share."""

from __future__ import annotations

from cbstore_sql.cli.demo.records import Change
from cbstore_sql.cli.demo.run_state import Board
from cbstore_sql.core.model import State

_REASONS = {
    ("closed", "open"): "{0} reported the failure that trips it",
    ("open", "half_open"): "{0} holds the probe",
    ("half_open", "half_open"): "{0} took the probe over",
    ("half_open", "open"): "{0}'s probe failed",
    ("half_open", "closed"): "{0}'s probe succeeded",
}


def change_words(change: Change, began: float) -> str:
    """Return what changed, when and by whom."""
    reason = _REASONS[change.before, change.after].format(f"worker-{change.worker}")
    return f"{change.until - began:6.2f} s  {change.before:>9} -> {change.after:<9}  {reason}"


def breaker_words(board: Board) -> str:
    """Return what the breaker does to callers."""
    snapshot = board.snapshot
    if snapshot is None or snapshot.state is State.CLOSED:
        return "calls pass"
    if snapshot.state is State.OPEN:
        return f"next probe in {snapshot.retry_after:.1f} s" if snapshot.retry_after else "a probe may be claimed"
    owner = board.prober.name if board.prober else "no worker"
    return f"{owner} probes, lease {snapshot.retry_after:.1f} s"


def count_words(board: Board) -> str:
    """Return the three counts."""
    return f"made {board.made}  failed {board.failed}  refused {board.refused} (calls the service was spared)"
