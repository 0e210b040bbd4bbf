"""One run of the demo, from the setup to the printed summary."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from cbstore_sql.cli import say
from cbstore_sql.cli.demo.checks import run_checks
from cbstore_sql.cli.demo.database import DemoDatabase, prepare_database
from cbstore_sql.cli.demo.plain import PlainView
from cbstore_sql.cli.demo.run_state import RunState
from cbstore_sql.cli.demo.scenario import RunAborted, Scenario, View
from cbstore_sql.cli.demo.signals import SignalRecorder
from cbstore_sql.cli.demo.timing import Timing
from cbstore_sql.cli.demo.wording import describe_counts
from cbstore_sql.runtime.environment import schema_name
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from rich.console import Console


def run_demo(arguments: argparse.Namespace) -> int:
    """Run the demo and print the summary.

    Args:
        arguments: The parsed arguments of ``cbstore demo``.

    Returns:
        The exit code: 0 if every check passed, 1 if a check failed or the demo was aborted. If a signal ended the demo,
        128 plus the number of the signal.

    Raises:
        CircuitBreakerError: The database cannot be used, or the panel cannot listen on a port.
    """
    signals = SignalRecorder()
    with signals.listening():
        try:
            run = _run_scenario(arguments, signals)
        except (RunAborted, KeyboardInterrupt) as error:
            if signals.signum is not None:
                _say_now("cbstore demo: interrupted; all processes have ended")
                return 128 + signals.signum
            _say_now(f"cbstore demo: {error}")
            return 1
    return _sum_up(run)


def _run_scenario(arguments: argparse.Namespace, signals: SignalRecorder) -> RunState:
    schema = arguments.schema or schema_name(DEFAULT_SCHEMA)
    timing = Timing.of(arguments.seconds, arguments.workers, arguments.patience)
    with (
        prepare_database(arguments.url, schema, signals) as database,
        _panel(database) if arguments.panel else nullcontext(),
        _viewing(arguments.plain) as view,
    ):
        return Scenario(database, timing, arguments.workers, signals, view).run()


@contextmanager
def _panel(database: DemoDatabase) -> Iterator[None]:
    from cbstore_sql.cli.web_server import serving
    from cbstore_sql.panel import panel_wsgi

    with serving(panel_wsgi(database.store, actions=True, events=True), "127.0.0.1", 0) as url:
        _say_now(f"panel on {url}")
        yield


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


def _sum_up(run: RunState) -> int:
    results = run_checks(run)
    _say_now("")
    _say_now(f"{len(run.workers)} worker processes, one circuit breaker in {run.place}")
    _say_now(describe_counts(run))
    for result in results:
        _say_now(f"{'ok' if result.passed else 'NOT OK':<6} {result.check:<26} {result.figures}")
    broken = sum(not result.passed for result in results)
    _say_now(f"{broken} of {len(results)} checks NOT OK" if broken else f"all {len(results)} checks ok")
    _say_now(f"left behind: {run.leaves}")
    return 1 if broken else 0


def _say_now(text: str) -> None:
    say(text)
    sys.stdout.flush()
