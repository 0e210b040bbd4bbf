"""How a breaker looks in a terminal: the words of each column and their colours."""

from __future__ import annotations

from typing import NamedTuple

from cbstore_sql.core.explanation import is_forced
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.wording import duration, holder, moment, printable

STATE_STYLES = {"closed": "green", "half_open": "bold yellow", "open": "bold red"}
"""rich's style for each state."""

COLUMNS = ("namespace", "name", "state", "override", "failures", "next", "last failure", "gen")
NUMBERS = frozenset({"failures", "gen"})
FOLDED = frozenset({"namespace", "name", "next"})
"""Columns whose text is broken over lines where the terminal is narrow."""


class Cell(NamedTuple):
    """One cell of the table."""

    text: str
    style: str = ""


def cells(namespace: str, snapshot: Snapshot, *, brief: bool = False) -> tuple[Cell, ...]:
    """Return the cells of one breaker, in the order of `COLUMNS`.

    Args:
        namespace: The breaker's.
        snapshot: The breaker.
        brief: Whether to leave out what a narrow terminal has no room for.
    """
    return (
        Cell(printable(namespace)),
        Cell(printable(snapshot.name)),
        Cell(state_words(snapshot), STATE_STYLES[snapshot.state.value]),
        Cell(override_words(snapshot, brief=brief), "bold magenta"),
        Cell(failure_words(snapshot)),
        Cell(next_words(snapshot, brief=brief)),
        Cell(last_failure_words(snapshot, brief=brief)),
        Cell(str(snapshot.generation)),
    )


def state_words(snapshot: Snapshot) -> str:
    """Return the state, telling a circuit that was forced open from one that tripped."""
    return f"{snapshot.state.value} (forced)" if is_forced(snapshot) else snapshot.state.value


def override_words(snapshot: Snapshot, *, brief: bool = False) -> str:
    """Return the override in force and for how long, ``"-"`` for none."""
    mode = snapshot.active_override
    if not mode:
        return "-"
    label = mode if mode == "shadow" else f"locked {mode}"
    if brief or not snapshot.override_until:
        return label
    return f"{label}, {duration(snapshot.override_until - snapshot.as_of)} left"


def failure_words(snapshot: Snapshot) -> str:
    """Return the failures in a row, with the score of a `FailureRate` policy where there is one."""
    score = f" ({snapshot.score:.0%})" if snapshot.score else ""
    return f"{snapshot.failure_count}{score}"


def next_words(snapshot: Snapshot, *, brief: bool = False) -> str:
    """Say what happens next: how long calls are held, when a probe is due, or who probes and for how long."""
    if snapshot.hold_until > snapshot.as_of:
        return f"held for {duration(snapshot.hold_until - snapshot.as_of)}"
    if snapshot.state is State.CLOSED:
        return "-"
    if snapshot.state is State.OPEN:
        return f"probe in {duration(snapshot.retry_after)}" if snapshot.retry_after else "probe due"
    if not snapshot.probe_active:
        return "probe due"
    owner = printable(holder(snapshot.probe_token))
    return f"probe: {owner}" if brief else f"probe: {owner}, lease {duration(snapshot.retry_after)}"


def last_failure_words(snapshot: Snapshot, *, brief: bool = False) -> str:
    """Say when the last failure was, by the local clock and as an age."""
    time = moment(snapshot.last_failure_time)
    if time is None:
        return "never"
    age = f"{duration(max(0.0, snapshot.as_of - snapshot.last_failure_time))} ago"
    return age if brief else f"{time.astimezone().isoformat(sep=' ', timespec='seconds')}, {age}"
