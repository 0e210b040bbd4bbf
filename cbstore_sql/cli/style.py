"""How a breaker looks in a terminal: the words of each column and their colours."""

from __future__ import annotations

from typing import NamedTuple

from cbstore_sql.core.explanation import is_forced
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.wording import duration, holder, moment, printable

STATE_STYLES = {"closed": "green", "half_open": "bold yellow", "open": "bold red"}
"""rich's style for each state."""

COLUMNS = ("namespace", "name", "state", "failures", "next", "last failure", "gen")
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
        Cell(str(snapshot.failure_count)),
        Cell(next_words(snapshot, brief=brief)),
        Cell(last_failure_words(snapshot, brief=brief)),
        Cell(str(snapshot.generation)),
    )


def state_words(snapshot: Snapshot) -> str:
    """Return the state, telling a circuit that was forced open from one that tripped."""
    return f"{snapshot.state.value} (forced)" if is_forced(snapshot) else snapshot.state.value


def next_words(snapshot: Snapshot, *, brief: bool = False) -> str:
    """Say what happens next: when a probe is due, or who probes and for how long."""
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
