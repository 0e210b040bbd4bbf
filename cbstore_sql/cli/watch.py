"""``cbstore status --watch``: show the table of breakers again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from cbstore_sql.cli import say
from cbstore_sql.cli.stores import Breakers
from cbstore_sql.cli.table import fitted_table, plain_lines, terminal
from cbstore_sql.errors import StoreError


def watch(read: Callable[[], Breakers], period: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the table of breakers repeatedly until the user presses Ctrl-C.

    If a later read fails, this function shows the error and reads again after ``period``.

    Args:
        read: The function that returns the breakers to show.
        period: The seconds between two reads.
        sleep: The function that waits for a number of seconds.

    Raises:
        StoreError: The first read failed.
    """
    breakers = read()
    with suppress(KeyboardInterrupt):
        console = terminal()
        if console is None:
            _watch_plainly(breakers, read, period, sleep)
            return
        from rich.console import Group
        from rich.live import Live
        from rich.text import Text

        with Live(console=console, auto_refresh=False) as live:
            trouble = ""
            while True:
                title = Text(_title(breakers), no_wrap=True, overflow="ellipsis")
                bottom = Text(trouble, "bold red")
                live.update(Group(title, "", fitted_table(breakers, console), bottom), refresh=True)
                sleep(period)
                breakers, trouble = _look(read, breakers)


def _watch_plainly(
    breakers: Breakers, read: Callable[[], Breakers], period: float, sleep: Callable[[float], None]
) -> None:
    trouble = ""
    while True:
        say(trouble or _title(breakers))
        for line in () if trouble else plain_lines(breakers):
            say(line)
        say("")
        sys.stdout.flush()
        sleep(period)
        breakers, trouble = _look(read, breakers)


def _look(read: Callable[[], Breakers], before: Breakers) -> tuple[Breakers, str]:
    try:
        return read(), ""
    except StoreError as error:
        return before, f"{datetime.now():%H:%M:%S}  {error}"


def _title(breakers: Breakers) -> str:
    counts = [sum(snapshot.state.value == state for _, snapshot in breakers) for state in ("open", "half_open")]
    return f"{datetime.now():%H:%M:%S}  {len(breakers)} breakers, {counts[0]} open, {counts[1]} half_open"
