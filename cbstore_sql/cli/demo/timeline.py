"""The course of a run as two rows of cells."""

from __future__ import annotations

from collections.abc import Sequence

from cbstore_sql.cli.demo.run_state import Board

Spell = tuple[float, str]
"""The moment at which a state began, and the state."""

_WEIGHT = ("closed", "open", "half_open")


def service_cells(board: Board, count: int, now: float) -> list[str]:
    """Return for each cell ``"closed"`` (the service was healthy), ``"open"`` (it failed) or ``""`` (the future)."""
    spells = [(health.at, "closed" if health.healthy else "open") for health in board.health]
    return _cells(board, spells, count, now)


def breaker_cells(board: Board, count: int, now: float) -> list[str]:
    """Return for each cell the state of the breaker; the rarest one where there were several."""
    return _cells(board, [(change.until, change.after) for change in board.changes], count, now)


def _cells(board: Board, spells: Sequence[Spell], count: int, now: float) -> list[str]:
    if not board.began:
        return [""] * count
    spells = [(board.began, "closed"), *spells]
    ends = [begin for begin, _ in spells[1:]] + [now]
    length = max(board.pace.total, now - board.began) / count
    cells = [""] * count
    for (begin, state), end in zip(spells, ends, strict=True):
        first, last = (min(count - 1, int((at - board.began) / length)) for at in (begin, end))
        for cell in range(first, last + 1):
            cells[cell] = max(cells[cell] or "closed", state, key=_WEIGHT.index)
    return cells
