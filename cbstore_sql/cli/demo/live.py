"""The run on a terminal, redrawn in place."""

from __future__ import annotations

from time import monotonic

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cbstore_sql.cli.demo.records import Outcome
from cbstore_sql.cli.demo.run_state import Board, WorkerLine
from cbstore_sql.cli.demo.timeline import breaker_cells, service_cells
from cbstore_sql.cli.demo.wording import breaker_words, change_words, count_words
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

# Every line except those of workers and changes, and one for the cursor.
_FIXED_LINES = 13


class LiveView:
    """Draws the board about ten times a second.

    Args:
        live: What redraws on the terminal.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, board: Board) -> None:
        """Draw the current state of the run."""
        size = self._live.console.size
        self._live.update(draw(board, size.width, size.height, monotonic()), refresh=True)


def draw(board: Board, width: int, height: int, now: float) -> RenderableType:
    """Draw a board.

    Args:
        board: The run.
        width: The width of the terminal, cells.
        height: The height of the terminal, lines.
        now: A reading of `time.monotonic`, seconds.
    """
    room = max(3, height - _FIXED_LINES)
    workers = board.workers[: max(1, room - 5)]
    news = room - len(workers) - (len(workers) < len(board.workers))
    return Group(
        _title(board, now),
        "",
        _service(board),
        _breaker(board),
        "",
        _workers(board, workers),
        "",
        _bars("service", service_cells(board, width - _LABEL_WIDTH, now)),
        _bars("breaker", breaker_cells(board, width - _LABEL_WIDTH, now)),
        "",
        _line((count_words(board), "bold")),
        "",
        *_news(board, news),
    )


def _title(board: Board, now: float) -> Text:
    elapsed = f"{now - board.began:.1f} s" if board.began else "starting"
    return _line(
        ("cbstore demo", "bold"), f"  {len(board.workers)} processes, one circuit breaker in {board.place}  ", elapsed
    )


def _service(board: Board) -> Text:
    state = ("healthy", "bold green") if board.healthy else ("failing", "bold red")
    tally = board.tally
    numbers = f"  {tally.arrived} calls arrived, {tally.failed} failed, {tally.present} being served"
    return _line(_label("service"), _padded(*state), numbers)


def _breaker(board: Board) -> Text:
    snapshot = board.snapshot
    if snapshot is None:
        return Text("")
    state = snapshot.state.value
    numbers = f"  failures {snapshot.failure_count}, generation {snapshot.generation}: {breaker_words(board)}"
    return _line(_label("breaker"), _padded(state, STATE_STYLES[state]), numbers)


def _workers(board: Board, lines: list[WorkerLine]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black", caption_justify="left")
    for header in ("worker", "pid", "last call"):
        table.add_column(header, min_width=20 if header == "last call" else None)
    for header in ("made", "failed", "refused"):
        table.add_column(header, justify="right")
    for line in lines:
        numbers = (str(number) for number in (line.made, line.failed, line.refused))
        table.add_row(line.name, str(line.pid or ""), _last(line, line is board.prober), *numbers)
    if len(lines) < len(board.workers):
        table.caption = f"… and {len(board.workers) - len(lines)} more"
    return table


def _last(line: WorkerLine, probing: bool) -> Text:
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


def _news(board: Board, count: int) -> list[Text]:
    lines = [
        _line((change_words(change, board.began), STATE_STYLES[change.after])) for change in board.changes[-count:]
    ]
    return lines + [Text("")] * (count - len(lines))


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _label(text: str) -> tuple[str, str]:
    return text.ljust(_LABEL_WIDTH), "bright_black"


def _padded(text: str, style: str) -> tuple[str, str]:
    return text.ljust(9), style
