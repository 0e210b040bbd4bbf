"""Why a breaker is in its state and what happens next, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.wording import duration, holder, moment, printable


def explain(snapshot: Snapshot) -> list[str]:
    """Return plain sentences about one breaker: its state, why, since when, and what happens next.

    Args:
        snapshot: The breaker. Ages and remaining times count from its ``as_of``.
    """
    return [sentence for part in (_state(snapshot), _failures(snapshot), _next(snapshot)) for sentence in part]


def is_forced(snapshot: Snapshot) -> bool:
    """Whether ``force_open`` or a ``Retry-After`` opened the circuit, and not failures: a trip sets the open time."""
    return snapshot.state is State.OPEN and snapshot.open_seconds == 0.0


def _state(snapshot: Snapshot) -> Iterator[str]:
    name = printable(snapshot.name)
    if snapshot.state is State.CLOSED:
        yield f"{name} is closed: calls pass."
    elif snapshot.state is State.HALF_OPEN:
        yield f"{name} is half_open: one call tests the dependency, all others are refused."
    elif is_forced(snapshot):
        yield f"{name} is open: calls are refused. It was forced open, by an operator or by a Retry-After."
    else:
        yield f"{name} is open: calls are refused. It tripped on failures."


def _failures(snapshot: Snapshot) -> Iterator[str]:
    count = snapshot.failure_count
    if count:
        yield f"{count} {'failure was' if count == 1 else 'failures were'} counted since the last success."
    elif snapshot.state is State.CLOSED:
        yield "No failure was counted since the last success."
    if snapshot.last_failure_time:
        what = "It was forced open" if is_forced(snapshot) else "The last failure was"
        yield f"{what} {_ago(snapshot.last_failure_time, snapshot.as_of)}."


def _next(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.state is State.OPEN:
        yield from _next_of_open(snapshot)
    elif snapshot.state is State.HALF_OPEN:
        yield from _next_of_half_open(snapshot)


def _next_of_open(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.retry_after:
        yield f"A probe is due in {duration(snapshot.retry_after)}, at {_clock(snapshot.open_until)}."
    else:
        waited = duration(snapshot.as_of - snapshot.open_until)
        yield f"A probe has been due for {waited}, and no process has called since."
    yield "The next call after that is the probe: its success closes the circuit, its failure opens it again."


def _next_of_half_open(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.success_count:
        yield f"{snapshot.success_count} successful probes so far; the policy asks for more."
    if not snapshot.probe_active:
        yield "No process holds the probe: the next call takes it."
        return
    yield f"{printable(holder(snapshot.probe_token))} (host/process id) holds the probe."
    yield f"If it does not report, another caller takes over in {duration(snapshot.retry_after)}."


def _ago(then: float, now: float) -> str:
    return f"{duration(max(0.0, now - then))} ago, at {_clock(then)}"


def _clock(seconds: float) -> str:
    time = moment(seconds)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC") if time else "never"
