"""The look of a breaker in a terminal: the words of each column and their colours."""

from __future__ import annotations

from typing import NamedTuple

from cbstore_sql.core.explanation import is_forced
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.wording import duration, holder, moment, printable

STATE_STYLES = {"closed": "green", "half_open": "bold yellow", "open": "bold red"}
"""The style of each state, as the package rich writes styles."""

COLUMNS = ("namespace", "name", "state", "override", "failures", "next", "last failure", "gen")
NUMBERS = frozenset({"failures", "gen"})
FOLDED = frozenset({"namespace", "name", "next"})
"""The columns whose text continues on a new line if the terminal is narrow."""


class Cell(NamedTuple):
    """One cell of the table of breakers.

    Attributes:
        text: The text of the cell.
        style: The style of the text, as the package rich writes styles. ``""`` means no style.
    """

    text: str
    style: str = ""


def cells(namespace: str, snapshot: Snapshot, *, brief: bool = False) -> tuple[Cell, ...]:
    """Return the cells of one breaker for the table of breakers, in the order of `COLUMNS`.

    Args:
        namespace: The breaker's namespace.
        snapshot: The breaker's state.
        brief: Whether to leave out the details, so that the table fits a narrow terminal.
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
    """Return the breaker's state in words. If the circuit opened without failures, the text also says "forced".

    Args:
        snapshot: The breaker's state.
    """
    return f"{snapshot.state.value} (forced)" if is_forced(snapshot) else snapshot.state.value


def override_words(snapshot: Snapshot, *, brief: bool = False) -> str:
    """Return the breaker's active override and the time left, or ``"-"`` if no override is active.

    An override is an operator's decision to keep the breaker open, closed or in shadow mode.

    Args:
        snapshot: The breaker's state.
        brief: Whether to leave out the time left.
    """
    mode = snapshot.active_override
    if not mode:
        return "-"
    label = mode if mode == "shadow" else f"locked {mode}"
    if brief or not snapshot.override_until:
        return label
    return f"{label}, {duration(snapshot.override_until - snapshot.as_of)} left"


def failure_words(snapshot: Snapshot) -> str:
    """Return the number of failures in a row as text, such as ``"3"`` or ``"3 (40%)"``.

    Under a `FailureRate` policy, the score follows in percent. At 100 percent, the circuit opens. A score of 0 is left
    out.

    Args:
        snapshot: The breaker's state.
    """
    score = f" ({snapshot.score:.0%})" if snapshot.score else ""
    return f"{snapshot.failure_count}{score}"


def next_words(snapshot: Snapshot, *, brief: bool = False) -> str:
    """Return in words what happens next to a breaker, or ``"-"`` if the circuit is closed and no hold is active.

    The words name the time until a hold ends (a ``Retry-After`` forbids calls), the time until the next probe, or the
    owner of the current probe.

    Args:
        snapshot: The breaker's state.
        brief: Whether to leave out the time left of the probe's lease.
    """
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
    """Return the time of the last failure and how long ago it was, or ``"never"``.

    Args:
        snapshot: The breaker's state.
        brief: Whether to return only how long ago it was.
    """
    time = moment(snapshot.last_failure_time)
    if time is None:
        return "never"
    age = f"{duration(max(0.0, snapshot.as_of - snapshot.last_failure_time))} ago"
    return age if brief else f"{time.astimezone().isoformat(sep=' ', timespec='seconds')}, {age}"
