"""Why a breaker is in its state and what happens next, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.wording import duration, holder, moment, printable

CAUSE_WORDS = {
    "count": "the failures reached the threshold",
    "score": "the failure rate reached its limit",
    "forced": "forced open",
    "probe_claimed": "a probe was due",
    "probe_failed": "the probe failed",
    "probe_succeeded": "the probe succeeded",
    "reset": "closed by hand",
    "replaced": "written through the dictionary protocol",
    "override_open": "locked open",
    "override_closed": "locked closed",
    "override_shadow": "put in shadow mode",
    "override_cleared": "unlocked",
}
"""The words for each cause of a `HistoryEntry`."""

_OVERRIDES = {
    "open": "locked open: every call is refused",
    "closed": "locked closed: every call goes through, whatever fails",
    "shadow": "in shadow mode: every call goes through, and the breaker only counts what it would have refused",
}


def explain(snapshot: Snapshot, history: Sequence[HistoryEntry] = ()) -> list[str]:
    """Describe one breaker in plain sentences: its state, why and since when, and what happens next.

    Args:
        snapshot: The breaker. The sentences count ages and remaining times from ``snapshot.as_of``, the moment at which
            the store read the breaker.
        history: The last changes of the breaker, oldest first, as `Store.history` returns them. If it is empty, the
            sentences do not say when and why the state changed.

    Returns:
        The sentences, in the order in which to show them.
    """
    parts = (_override(snapshot), _hold(snapshot), _state(snapshot, history), _failures(snapshot), _next(snapshot))
    return [sentence for part in parts for sentence in part]


def is_forced(snapshot: Snapshot) -> bool:
    """Return whether the circuit was opened by ``force_open`` or by a dependency's ``Retry-After``, not by failures.

    The answer is ``False`` if failures opened the circuit, or if the circuit is not open.

    Args:
        snapshot: The breaker.
    """
    return snapshot.state is State.OPEN and snapshot.open_seconds == 0.0


def _override(snapshot: Snapshot) -> Iterator[str]:
    name, mode = printable(snapshot.name), snapshot.active_override
    if not mode:
        if snapshot.override:
            yield f"An earlier override ({snapshot.override}) ended {_ago(snapshot.override_until, snapshot.as_of)}."
        return
    yield f"{name} is {_OVERRIDES[mode]}."
    yield f"{printable(snapshot.override_by)} set this override. Reason: {printable(snapshot.override_reason)}."
    if snapshot.override_until:
        left = duration(snapshot.override_until - snapshot.as_of)
        yield f"It ends in {left}, at {_clock(snapshot.override_until)}; then the circuit's own state decides."
    else:
        yield "It lasts until an operator unlocks the breaker."
    yield "Underneath, the circuit goes on:"


def _hold(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.hold_until <= snapshot.as_of:
        return
    left = duration(snapshot.hold_until - snapshot.as_of)
    ignored = " The override ignores it." if snapshot.active_override == "closed" else ""
    yield f"The dependency asked to wait (Retry-After): no call is made for another {left}.{ignored}"


def _state(snapshot: Snapshot, history: Sequence[HistoryEntry]) -> Iterator[str]:
    name = printable(snapshot.name)
    since = next((change for change in reversed(history) if change.previous_state is not change.state), None)
    if snapshot.state is State.CLOSED:
        yield f"{name} is closed: calls pass."
    elif snapshot.state is State.HALF_OPEN:
        yield f"{name} is half_open: one call tests the dependency, all others are refused."
    elif since is not None:
        yield f"{name} is open: calls are refused."
    elif is_forced(snapshot):
        yield f"{name} is open: calls are refused. It was forced open, by an operator or by a Retry-After."
    else:
        yield f"{name} is open: calls are refused. It tripped on failures."
    if since is not None and since.state is snapshot.state:
        yield f"It became {snapshot.state.value} {_ago(since.at, snapshot.as_of)}: {_why(since)}."


def _why(change: HistoryEntry) -> str:
    by = f" (by {printable(change.by)})" if change.by else ""
    return f"{CAUSE_WORDS[change.cause]}{by}"


def _failures(snapshot: Snapshot) -> Iterator[str]:
    count = snapshot.failure_count
    if snapshot.score:
        yield f"The evidence of failure is at {snapshot.score:.0%} of the limit."
    if count:
        yield f"{count} {'failure was' if count == 1 else 'failures were'} counted since the last success."
    elif snapshot.state is State.CLOSED and not snapshot.score:
        yield "No failure was counted since the last success."
    if snapshot.last_failure_time and not (is_forced(snapshot) and not count):
        yield f"The last failure was {_ago(snapshot.last_failure_time, snapshot.as_of)}."


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
