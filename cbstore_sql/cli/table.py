"""Breakers as a table for people: drawn by rich on a terminal, plain text elsewhere and where rich is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cbstore_sql.cli import say
from cbstore_sql.cli.stores import Breakers
from cbstore_sql.cli.style import COLUMNS, FOLDED, NUMBERS, Cell, cells

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_GAP = "  "

# Wider than any table, to measure one.
_ENDLESS = 100_000


def show(breakers: Breakers) -> None:
    """Write the table to stdout: coloured and fitted on a terminal, else one line a breaker, however long."""
    console = terminal()
    if console is not None:
        console.print(fitted_table(breakers, console))
        return
    for line in plain_lines(breakers):
        say(line)


def terminal() -> Console | None:
    """Return rich's console, or ``None`` where stdout is not a terminal or rich is not installed."""
    if not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR")):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(highlight=False)
    return console if console.is_terminal else None


def plain_lines(breakers: Breakers) -> Iterator[str]:
    """Yield the header and one line for each breaker, the columns aligned."""
    rows = [COLUMNS, *([cell.text for cell in cells(*breaker)] for breaker in breakers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (
            text.rjust(width) if column in NUMBERS else text.ljust(width)
            for text, width, column in zip(row, widths, COLUMNS, strict=True)
        )
        yield _GAP.join(padded).rstrip()


def fitted_table(breakers: Breakers, console: Console) -> Table:
    """Return rich's table, without the details that the terminal has no room for."""
    from rich.console import Console

    table = _table([cells(*breaker) for breaker in breakers])
    if Console(width=_ENDLESS).measure(table).maximum > console.width:
        table = _table([cells(*breaker, brief=True) for breaker in breakers])
    return table


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(
            column, justify="right" if column in NUMBERS else "left", overflow="fold", no_wrap=column not in FOLDED
        )
    for row in rows:
        table.add_row(*(Text(cell.text, cell.style) for cell in row))
    return table
