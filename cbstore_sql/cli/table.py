"""Breakers as a table for people, drawn by rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from cbstore_sql.cli.style import STATE_STYLES, holder, moment
from cbstore_sql.core.model import Snapshot, State

_COLUMNS = ("namespace", "name", "state", "failures", "retry in", "probe", "last failure", "gen")
_NUMBERS = ("failures", "retry in", "gen")
_FOLDED = ("namespace", "name", "probe")
_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0))

# Wider than any table: to measure one, and to write it where nothing has a width.
_ENDLESS = 100_000


def show(breakers: Sequence[tuple[str, Snapshot]]) -> None:
    """Write the table to stdout: coloured and fitted on a terminal, else one line a breaker, however long."""
    console, endless = Console(highlight=False), Console(highlight=False, width=_ENDLESS)
    table = _table(breakers)
    if not console.is_terminal:
        console = endless
    elif endless.measure(table).maximum > console.width:
        table = _table(breakers, brief=True)
    console.print(table)


def printable(text: str) -> str:
    """Write a name so that it cannot move the cursor, change colours or pass for another name."""
    escaped = (c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped) or "''"


def duration(seconds: float) -> str:
    """Write a duration in its largest unit."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def _table(breakers: Sequence[tuple[str, Snapshot]], *, brief: bool = False) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        justify: JustifyMethod = "right" if column in _NUMBERS else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column not in _FOLDED)
    for namespace, snapshot in breakers:
        table.add_row(*_cells(namespace, snapshot, brief))
    return table


def _cells(namespace: str, snapshot: Snapshot, brief: bool) -> tuple[Text, ...]:
    state = snapshot.state
    return (
        Text(printable(namespace)),
        Text(printable(snapshot.name)),
        Text(state.value, STATE_STYLES[state.value]),
        Text(str(snapshot.failure_count)),
        Text("-" if state is State.CLOSED else duration(snapshot.retry_after)),
        Text(_probe(snapshot, brief)),
        Text(_last_failure(snapshot, brief)),
        Text(str(snapshot.generation)),
    )


def _probe(snapshot: Snapshot, brief: bool) -> str:
    if snapshot.state is not State.HALF_OPEN:
        return "-"
    if not snapshot.probe_active:
        return "free"
    owner = printable(holder(snapshot.probe_token))
    return owner if brief else f"{owner}, lease {duration(snapshot.retry_after)}"


def _last_failure(snapshot: Snapshot, brief: bool) -> str:
    time = moment(snapshot.last_failure_time)
    if time is None:
        return "never"
    age = f"{duration(max(0.0, snapshot.as_of - snapshot.last_failure_time))} ago"
    return age if brief else f"{time.astimezone().isoformat(sep=' ', timespec='seconds')}, {age}"
