"""The JSON objects for breakers and for the entries of their histories, as ``--json`` prints them."""

from __future__ import annotations

from typing import Any

from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.wording import iso


def describe(namespace: str, snapshot: Snapshot) -> dict[str, Any]:
    """Return the JSON object of one breaker, as ``--json`` prints it.

    A field without a value, such as the last failure of a breaker that has not failed, is ``None``.

    Args:
        namespace: The breaker's namespace.
        snapshot: The breaker's state.
    """
    return {
        "namespace": namespace,
        "name": snapshot.name,
        "state": snapshot.state.value,
        "generation": snapshot.generation,
        "failure_count": snapshot.failure_count,
        "success_count": snapshot.success_count,
        "last_failure_time": iso(snapshot.last_failure_time),
        "open_until": iso(snapshot.open_until),
        "open_seconds": snapshot.open_seconds,
        "retry_after": snapshot.retry_after,
        "probe_token": snapshot.probe_token or None,
        "probe_until": iso(snapshot.probe_until),
        "score": snapshot.score,
        "hold_until": iso(snapshot.hold_until),
        "closed_at": iso(snapshot.closed_at),
        "override": snapshot.active_override or None,
        "override_until": iso(snapshot.override_until) if snapshot.active_override else None,
        "override_by": snapshot.override_by if snapshot.active_override else None,
        "override_reason": snapshot.override_reason if snapshot.active_override else None,
        "as_of": iso(snapshot.as_of),
    }


def describe_change(change: HistoryEntry) -> dict[str, Any]:
    """Return the JSON object of one entry of a breaker's history, as ``cbstore show --json`` prints it.

    Args:
        change: The entry: one past change of the breaker's state.
    """
    return {
        "at": iso(change.at),
        "previous_state": change.previous_state.value,
        "state": change.state.value,
        "cause": change.cause,
        "by": change.by or None,
    }
