"""One run from the command line: prepare it, play it, check it, and print the result."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cbstore_sql.cli import say
from cbstore_sql.cli.demo.checks import judge
from cbstore_sql.cli.demo.database import set_stage
from cbstore_sql.cli.demo.plain import PlainView
from cbstore_sql.cli.demo.run_state import Board
from cbstore_sql.cli.demo.scenario import BrokenOff, Play, View
from cbstore_sql.cli.demo.signals import Stopper
from cbstore_sql.cli.demo.timing import Pace
from cbstore_sql.cli.demo.wording import count_words
from cbstore_sql.runtime.environment import schema_name
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from rich.console import Console


def perform(arguments: argparse.Namespace) -> int:
    """Run the demo.

    Returns:
        0 when every check passed, 1 when one failed, 128 + the signal's number when a signal ended the run.

    Raises:
        CircuitBreakerError: The database cannot be used.
    """
    stopper = Stopper()
    with stopper.listening():
        try:
            board = _play(arguments, stopper)
        except (BrokenOff, KeyboardInterrupt) as error:
            if stopper.signum is not None:
                _say_now("cbstore demo: interrupted; nothing is left running")
                return 128 + stopper.signum
            _say_now(f"cbstore demo: {error}")
            return 1
    return _sum_up(board)


def _play(arguments: argparse.Namespace, stopper: Stopper) -> Board:
    schema = arguments.schema or schema_name(DEFAULT_SCHEMA)
    pace = Pace.of(arguments.seconds, arguments.workers, arguments.patience)
    with set_stage(arguments.url, schema, stopper) as stage, _viewing(arguments.plain) as view:
        return Play(stage, pace, arguments.workers, stopper, view).run()


@contextmanager
def _viewing(plain: bool) -> Iterator[View]:
    console = None if plain else _terminal()
    if console is None:
        yield PlainView(_say_now)
        return
    from rich.live import Live

    from cbstore_sql.cli.demo.live import LiveView

    with Live(console=console, auto_refresh=False) as live:
        yield LiveView(live)


def _terminal() -> Console | None:
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console()
    draws = console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
    return console if draws else None


def _sum_up(board: Board) -> int:
    verdicts = judge(board)
    _say_now("")
    _say_now(f"{len(board.workers)} worker processes, one circuit breaker in {board.place}")
    _say_now(count_words(board))
    for verdict in verdicts:
        _say_now(f"{'ok' if verdict.kept else 'NOT OK':<6} {verdict.promise:<26} {verdict.numbers}")
    broken = sum(not verdict.kept for verdict in verdicts)
    _say_now(f"{broken} of {len(verdicts)} checks NOT OK" if broken else f"all {len(verdicts)} checks ok")
    _say_now(f"left behind: {board.leaves}")
    return 1 if broken else 0


def _say_now(text: str) -> None:
    say(text)
    sys.stdout.flush()
