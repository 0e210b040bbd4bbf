"""The table of breakers: the package rich draws it on a terminal; otherwise it is plain text."""

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

# A width in characters greater than any table's, so that rich measures the table's natural width.
_ENDLESS = 100_000


def show(breakers: Breakers) -> None:
    """Write the table of breakers to stdout.

    On a terminal, the package rich colours the table and fits the table to the width. Otherwise, or without rich, each
    breaker is one line of plain text.

    Args:
        breakers: The breakers to show.
    """
    console = terminal()
    if console is not None:
        console.print(fitted_table(breakers, console))
        return
    for line in plain_lines(breakers):
        say(line)


def terminal() -> Console | None:
    """Return a console of the package rich for stdout, or ``None`` if stdout is not a terminal or rich is missing."""
    if not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR")):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(highlight=False)
    return console if console.is_terminal else None


def plain_lines(breakers: Breakers) -> Iterator[str]:
    """Yield the header and one line for each breaker, with aligned columns.

    Args:
        breakers: The breakers to show.
    """
    rows = [COLUMNS, *([cell.text for cell in cells(*breaker)] for breaker in breakers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (
            text.rjust(width) if column in NUMBERS else text.ljust(width)
            for text, width, column in zip(row, widths, COLUMNS, strict=True)
        )
        yield _GAP.join(padded).rstrip()


def fitted_table(breakers: Breakers, console: Console) -> Table:
    """Return the table for the package rich. The table has fewer details if the full table is wider than the terminal.

    Args:
        breakers: The breakers to show.
        console: The console whose width limits the table.
    """
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
