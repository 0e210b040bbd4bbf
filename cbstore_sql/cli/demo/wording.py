"""The texts that both views of the demo use."""

from __future__ import annotations

from cbstore_sql.cli.demo.records import Change
from cbstore_sql.cli.demo.run_state import RunState
from cbstore_sql.core.model import State

_REASONS = {
    ("closed", "open"): "{0} reported the last of the failures",
    ("open", "half_open"): "{0} holds the probe",
    ("half_open", "half_open"): "{0} took over the probe",
    ("half_open", "open"): "{0}'s probe failed",
    ("half_open", "closed"): "{0}'s probe succeeded",
}


def describe_change(change: Change, began: float) -> str:
    """Return a line about a change of the breaker's row: the time, both states, and the worker that caused the change.

    Args:
        change: The change.
        began: When the workers began, by `time.monotonic` in seconds.
    """
    reason = _REASONS[change.before, change.after].format(f"worker-{change.worker}")
    return f"{change.until - began:6.2f} s  {change.before:>9} -> {change.after:<9}  {reason}"


def describe_breaker(run: RunState) -> str:
    """Return the breaker's state in words: which calls it admits now, and which worker makes the probe.

    Args:
        run: The state of the demo.
    """
    snapshot = run.snapshot
    if snapshot is None or snapshot.state is State.CLOSED:
        return "calls pass"
    if snapshot.state is State.OPEN:
        return f"next probe in {snapshot.retry_after:.1f} s" if snapshot.retry_after else "a probe may be claimed"
    owner = run.prober.name if run.prober else "no worker"
    return f"{owner} probes, lease {snapshot.retry_after:.1f} s"


def describe_counts(run: RunState) -> str:
    """Return in words how many calls the workers made, how many failed, and how many the breaker rejected.

    Args:
        run: The state of the demo.
    """
    return f"made {run.made}  failed {run.failed}  rejected {run.refused} (calls that the service did not get)"
