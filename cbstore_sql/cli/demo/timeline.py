"""The course of the demo as two rows of cells, one for the service and one for the breaker."""

from __future__ import annotations

from collections.abc import Sequence

from cbstore_sql.cli.demo.run_state import RunState

Period = tuple[float, str]
"""The time at which a state began by `time.monotonic` in seconds, and the state."""

_WEIGHT = ("closed", "open", "half_open")


def service_cells(run: RunState, count: int, now: float) -> list[str]:
    """Return the state of the service for each cell of the timeline.

    The timeline divides the duration of the demo into cells of equal length, the earliest first.

    Args:
        run: The state of the demo.
        count: The number of cells.
        now: The current reading of `time.monotonic`, in seconds.

    Returns:
        For each cell ``"closed"`` (the service works), ``"open"`` (the service fails), or ``""`` if the cell is in the
        future.
    """
    spells = [(health.at, "closed" if health.healthy else "open") for health in run.health]
    return _cells(run, spells, count, now)


def breaker_cells(run: RunState, count: int, now: float) -> list[str]:
    """Return the state of the breaker for each cell of the timeline.

    The timeline divides the duration of the demo into cells of equal length, the earliest first. If the breaker had
    several states within one cell, the cell shows half_open rather than open, and open rather than closed.

    Args:
        run: The state of the demo.
        count: The number of cells.
        now: The current reading of `time.monotonic`, in seconds.

    Returns:
        For each cell ``"closed"``, ``"open"`` or ``"half_open"``, or ``""`` if the cell is in the future.
    """
    return _cells(run, [(change.until, change.after) for change in run.changes], count, now)


def _cells(run: RunState, spells: Sequence[Period], count: int, now: float) -> list[str]:
    if not run.began:
        return [""] * count
    spells = [(run.began, "closed"), *spells]
    ends = [begin for begin, _ in spells[1:]] + [now]
    length = max(run.timing.total, now - run.began) / count
    cells = [""] * count
    for (begin, state), end in zip(spells, ends, strict=True):
        first, last = (min(count - 1, int((at - run.began) / length)) for at in (begin, end))
        for cell in range(first, last + 1):
            cells[cell] = max(cells[cell] or "closed", state, key=_WEIGHT.index)
    return cells
