"""The figures for people: aligned for a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import Cell, Section, Table

_WHOLE, _TENTHS, _HUNDREDTHS = 100, 10, 1
_VERDICTS = {True: "met", False: "NOT MET", None: "not measured"}


def shown(cell: Cell) -> str:
    """Write one cell with as many digits as mean anything."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or cell == 0 or abs(cell) >= _WHOLE:
        return f"{cell:,.0f}"
    if abs(cell) >= _TENTHS:
        return f"{cell:.1f}"
    return f"{cell:.2f}" if abs(cell) >= _HUNDREDTHS else f"{cell:.2g}"


def targets_table(sections: Iterable[Section]) -> Table:
    """Gather what happened to the targets."""
    targets = [target for section in sections for target in section.targets]
    rows = tuple((each.promise, each.bound, each.value, _VERDICTS[each.met]) for each in targets)
    return Table("Targets", ("", "target", "found", ""), rows)


def as_text(table: Table) -> str:
    """Align a table for a terminal."""
    rows = [list(table.columns), *([shown(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join([table.title, *("  " + _aligned(row, widths) for row in rows)])


def as_markdown(table: Table) -> str:
    """Write a table as Markdown."""
    lines = [f"**{table.title}**", "", _line(table.columns), _line(["---", *["---:"] * (len(table.columns) - 1)])]
    return "\n".join([*lines, *(_line([shown(cell) for cell in row]) for row in table.rows)])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
