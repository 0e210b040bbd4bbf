"""Tests of the displays of the demo."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cbstore_sql.cli.demo.live import draw
from cbstore_sql.cli.demo.plain import PlainView
from cbstore_sql.cli.demo.run_state import WorkerStatus
from cbstore_sql.cli.demo.timeline import breaker_cells, service_cells
from tests.cli.demo_runs import BEGAN, finished_run


def drawn(width: int, height: int, workers: int = 2) -> list[str]:
    run = finished_run()
    run.workers += [WorkerStatus(number) for number in range(3, workers + 1)]
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw(run, width, height, BEGAN + 10))
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 17), (40, 24)])
@pytest.mark.parametrize("workers", [2, 6, 50])
def test_the_live_display_fits_the_terminal(width: int, height: int, workers: int) -> None:
    lines = drawn(width, height, workers)
    assert len(lines) < height
    assert max(map(len, lines)) <= width


def test_the_live_view_shows_the_numbers_and_the_latest_change() -> None:
    text = "\n".join(drawn(80, 24))
    assert "9 calls arrived, 6 failed" in text
    assert "made 9  failed 6  rejected 1" in text
    assert "half_open -> closed     worker-1's probe succeeded" in text


def test_workers_that_do_not_fit_on_the_terminal_are_counted() -> None:
    assert "… and 44 more" in [line.strip() for line in drawn(80, 24, workers=50)]


def test_each_cell_of_the_timeline_shows_the_rarest_state() -> None:
    run = finished_run()
    run.timing = replace(run.timing, healthy=3.0, failing=3.5, recovery_timeout=2.0, calm=3.5)
    seconds = int(run.timing.total)
    assert service_cells(run, seconds, BEGAN + 9.9) == [*["closed"] * 3, *["open"] * 4, *["closed"] * 3, "", ""]
    assert breaker_cells(run, seconds, BEGAN + 9.9) == [
        *["closed"] * 3,
        *("open", "open", "half_open", "open", "half_open"),
        *("closed", "closed", "", ""),
    ]


def test_the_plain_view_writes_each_change_once() -> None:
    lines: list[str] = []
    view, run = PlainView(lines.append), finished_run()
    view.show(run)
    view.show(run)
    assert sum("->" in line for line in lines) == len(run.changes)
    assert [line for line in lines if "the service" in line and "made" not in line] == [
        "  3.00 s  the service begins to fail",
        "  6.50 s  the service recovers",
    ]


def test_the_timeline_is_empty_before_the_workers_begin() -> None:
    run = finished_run()
    run.began = 0.0
    assert set(service_cells(run, 10, BEGAN)) == set(breaker_cells(run, 10, BEGAN)) == {""}
