"""The table of the docs, made from the observations of a run."""

from __future__ import annotations

import importlib
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from tests.system.faults import table
from tests.system.faults.elsewhere import ELSEWHERE
from tests.system.faults.table import Row

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "faults.md"
KEPT = ROOT / "docs" / "faults.json"

BEGIN, END = "<!-- table: written by `make faults` -->\n", "<!-- end of the table -->\n"
_COLUMNS = ("", "fault", "expected", "observed", "back after", "calls", "lost", "answers lost", "counts lost, doubled")


class Report(NamedTuple):
    """The observations of one run.

    Attributes:
        machine: The machine, in words.
        rows: One row for each test that ran.
    """

    machine: str
    rows: tuple[Row, ...]


def machine() -> str:
    """Describe the machine of a run without names or paths."""
    from tests.servers import wheels

    return (
        f"PostgreSQL {wheels.postgres_version()}, psycopg {version('psycopg')}, Python {platform.python_version()}, "
        f"{platform.system()}, {os.cpu_count()} cores"
    )


def scenarios() -> set[str]:
    """Return the node ids, without parameters, of all tests that cause a fault."""
    for file in Path(__file__).parent.glob("test_*.py"):
        importlib.import_module(f"tests.system.faults.{file.stem}")
    return {f"{made.__module__.replace('.', '/')}.py::{made.__name__}" for made in table.registered()}


def without_parameters(test: str) -> str:
    """Return the node id of the test function."""
    return test.partition("[")[0]


def load(lines: Iterable[str]) -> tuple[Row, ...]:
    """Read the rows that the tests wrote, in the order of the faults."""
    rows = (Row(**json.loads(line)) for line in lines)
    return tuple(sorted(rows, key=lambda row: row.number))


def read() -> Report:
    """Return the run whose table is in the docs."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    return Report(kept["machine"], tuple(Row(**row) for row in kept["rows"]))


def keep(report: Report) -> None:
    """Write a run into the docs."""
    kept = {"machine": report.machine, "rows": [asdict(row) for row in report.rows]}
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), report), encoding="utf-8")


def with_table(page: str, report: Report) -> str:
    """Return a page with the table of a run between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{as_markdown(report)}\n{END}{after}"


def as_markdown(report: Report) -> str:
    """Return the table, and below it the faults that other suites make."""
    lines = [f"{report.machine}.\n", _line(_COLUMNS), _line("---" for _ in _COLUMNS)]
    lines += [_line(_cells(row)) for row in report.rows]
    lines += ["\nMade and judged by other suites:\n", _line(("", "fault", "expected")), _line(("---",) * 3)]
    lines += [_line((str(e.number), e.made, f"{e.expected}{_commands(e.tests)}")) for e in ELSEWHERE]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    counts = "" if row.counts_lost is None else f"{row.counts_lost}, {row.counts_doubled or 0}"
    return (
        str(row.number),
        f"{row.made}{_commands([row.test])}",
        row.expected,
        row.observed,
        "" if row.recovered is None else _time(row.recovered),
        *("" if figure is None else str(figure) for figure in (row.calls, row.calls_lost, row.answers_lost)),
        counts,
    )


def _commands(tests: Iterable[str]) -> str:
    return "".join(f"<br>`pytest '{test}'`" for test in tests)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
