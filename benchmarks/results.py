"""What a subject found: tables of numbers, and how they compare with the targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.timing import Latency

Cell = float | int | str | None

NAME, MEDIAN, P99 = "", "median µs", "p99 µs"


@dataclass(frozen=True)
class Table:
    """Rows under columns, of which the first names the row.

    Attributes:
        title: What the numbers are.
        columns: With their units; the first is empty.
        rows: A name and a cell for each further column; ``None`` where there is nothing to say.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def cell(self, row: str, column: str) -> Cell:
        """Return one cell; ``None`` too where there is no such row."""
        index = self.columns.index(column)
        return next((cells[index] for cells in self.rows if cells[0] == row), None)

    def number(self, row: str, column: str) -> float | None:
        """Return one cell that holds a number, or ``None``."""
        cell = self.cell(row, column)
        return None if isinstance(cell, str) else cell


@dataclass(frozen=True)
class Target:
    """A promise and what happened to it.

    Attributes:
        promise: What is compared.
        bound: How it should come out, for the reader.
        value: How it came out; ``None`` when it was not measured.
        met: Whether it is as it should be; ``None`` when it was not measured.
    """

    promise: str
    bound: str
    value: float | None
    met: bool | None


@dataclass(frozen=True)
class Section:
    """Everything one subject found.

    Attributes:
        title: The heading.
        tables: In the order of reading.
        targets: Those this subject can judge.
        remarks: Sentences about this run.
    """

    title: str
    tables: tuple[Table, ...]
    targets: tuple[Target, ...] = ()
    remarks: tuple[str, ...] = ()


def at_most(promise: str, value: float | None, bound: float, unit: str = "") -> Target:
    """Judge a value that should not be larger than its bound."""
    return Target(promise, f"≤ {bound:g} {unit}".strip(), value, None if value is None else value <= bound)


def at_least(promise: str, value: float | None, bound: float, unit: str = "") -> Target:
    """Judge a value that should not be smaller than its bound."""
    return Target(promise, f"≥ {bound:g} {unit}".strip(), value, None if value is None else value >= bound)


def ratio(value: float | None, base: float | None) -> float | None:
    """Divide, where both were measured."""
    return None if value is None or not base else value / base


def over(base: str) -> str:
    """Name the column of a ratio to something."""
    return f"/ {base}"


def latency_table(title: str, found: Mapping[str, Latency], bases: Mapping[str, str | Mapping[str, str]]) -> Table:
    """Show latencies with the ratios of their medians.

    Args:
        title: What was timed.
        found: By the row's name.
        bases: By heading: the row that all rows are compared with, or for each row its own.
    """
    medians = {name: latency.median for name, latency in found.items()}

    def ratios(name: str) -> list[float | None]:
        rows = [base if isinstance(base, str) else base.get(name, "") for base in bases.values()]
        return [ratio(medians[name], medians.get(row)) for row in rows]

    columns = (NAME, MEDIAN, P99, *(over(heading) for heading in bases))
    return Table(title, columns, tuple((name, each.median, each.p99, *ratios(name)) for name, each in found.items()))


def plain(section: Section) -> dict[str, Any]:
    """Return a section as JSON has it."""
    return {
        "title": section.title,
        "tables": [{"title": t.title, "columns": t.columns, "rows": t.rows} for t in section.tables],
        "targets": [vars(target) for target in section.targets],
        "remarks": section.remarks,
    }


def section_of(plain_section: Mapping[str, Any]) -> Section:
    """Return a section that was kept as JSON."""
    return Section(
        plain_section["title"],
        tuple(
            Table(table["title"], tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]))
            for table in plain_section["tables"]
        ),
        tuple(Target(**target) for target in plain_section["targets"]),
        tuple(plain_section["remarks"]),
    )
