"""The view of the demo on a terminal. The package rich redraws the view in place."""

from __future__ import annotations

from time import monotonic

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cbstore_sql.cli.demo.records import Outcome
from cbstore_sql.cli.demo.run_state import RunState, WorkerStatus
from cbstore_sql.cli.demo.timeline import breaker_cells, service_cells
from cbstore_sql.cli.demo.wording import describe_breaker, describe_change, describe_counts
from cbstore_sql.cli.style import STATE_STYLES

_OUTCOMES = {
    Outcome.OK: ("●", "green"),
    Outcome.ERROR: ("✗", "red"),
    Outcome.HUNG_UP: ("✗", "red"),
    Outcome.REFUSED: ("○", "bright_black"),
}
_BARS = {"": "·", "closed": "▁", "half_open": "▅", "open": "█"}
_BAR_STYLES = {**STATE_STYLES, "": "bright_black"}
_LABEL_WIDTH = 10

# The number of all lines except the lines of workers and changes, plus one line for the cursor.
_FIXED_LINES = 13


class LiveView:
    """A display of the demo on a terminal, which it redraws in place.

    Args:
        live: The object of the package rich that redraws the terminal.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, run: RunState) -> None:
        """Redraw the terminal with the current state of the demo.

        Args:
            run: The current state of the demo.
        """
        size = self._live.console.size
        self._live.update(draw(run, size.width, size.height, monotonic()), refresh=True)


def draw(run: RunState, width: int, height: int, now: float) -> RenderableType:
    """Return what a terminal of a given size shows of the demo, for the package rich.

    Args:
        run: The state of the demo.
        width: The width of the terminal, in characters.
        height: The height of the terminal, in lines.
        now: The current reading of `time.monotonic`, in seconds.
    """
    room = max(3, height - _FIXED_LINES)
    workers = run.workers[: max(1, room - 5)]
    news = room - len(workers) - (len(workers) < len(run.workers))
    return Group(
        _title(run, now),
        "",
        _service(run),
        _breaker(run),
        "",
        _workers(run, workers),
        "",
        _bars("service", service_cells(run, width - _LABEL_WIDTH, now)),
        _bars("breaker", breaker_cells(run, width - _LABEL_WIDTH, now)),
        "",
        _line((describe_counts(run), "bold")),
        "",
        *_news(run, news),
    )


def _title(run: RunState, now: float) -> Text:
    elapsed = f"{now - run.began:.1f} s" if run.began else "starting"
    return _line(
        ("cbstore demo", "bold"), f"  {len(run.workers)} processes, one circuit breaker in {run.place}  ", elapsed
    )


def _service(run: RunState) -> Text:
    state = ("healthy", "bold green") if run.healthy else ("failing", "bold red")
    tally = run.tally
    numbers = f"  {tally.arrived} calls arrived, {tally.failed} failed, {tally.present} being served"
    return _line(_label("service"), _padded(*state), numbers)


def _breaker(run: RunState) -> Text:
    snapshot = run.snapshot
    if snapshot is None:
        return Text("")
    state = snapshot.state.value
    numbers = f"  failures {snapshot.failure_count}, generation {snapshot.generation}: {describe_breaker(run)}"
    return _line(_label("breaker"), _padded(state, STATE_STYLES[state]), numbers)


def _workers(run: RunState, lines: list[WorkerStatus]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black", caption_justify="left")
    for header in ("worker", "pid", "last call"):
        table.add_column(header, min_width=20 if header == "last call" else None)
    for header in ("made", "failed", "rejected"):
        table.add_column(header, justify="right")
    for line in lines:
        numbers = (str(number) for number in (line.made, line.failed, line.refused))
        table.add_row(line.name, str(line.pid or ""), _last(line, line is run.prober), *numbers)
    if len(lines) < len(run.workers):
        table.caption = f"… and {len(run.workers) - len(lines)} more"
    return table


def _last(line: WorkerStatus, probing: bool) -> Text:
    if probing:
        return Text("◆ holds the probe", STATE_STYLES["half_open"])
    if line.last is None:
        return Text("")
    sign, style = _OUTCOMES[line.last.outcome]
    took = f"after {(line.last.ended - line.last.asked) * 1000:.0f} ms" if line.last.made else "at once"
    return Text(f"{sign} {line.last.outcome.value} {took}", style)


def _bars(label: str, cells: list[str]) -> Text:
    bars = _line(_label(label))
    for cell in cells:
        bars.append(_BARS[cell], _BAR_STYLES[cell])
    return bars


def _news(run: RunState, count: int) -> list[Text]:
    lines = [_line((describe_change(change, run.began), STATE_STYLES[change.after])) for change in run.changes[-count:]]
    return lines + [Text("")] * (count - len(lines))


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _label(text: str) -> tuple[str, str]:
    return text.ljust(_LABEL_WIDTH), "bright_black"


def _padded(text: str, style: str) -> tuple[str, str]:
    return text.ljust(9), style
