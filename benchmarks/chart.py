"""The figures as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.render import shown
from benchmarks.results import MEDIAN, Section, Table

OURS, OTHERS, LIMIT = "#2a6f97", "#c9a227", "#9aa0a6"
_STYLE: dict[Any, Any] = {"svg.hashsalt": "cbstore_sql", "svg.fonttype": "none", "font.size": 9.0}

SUBJECTS = ("guarded_call", "record_failure", "clients", "growth")
"""What the picture is drawn from."""


def draw(sections: Mapping[str, Section], file: Path) -> None:
    """Draw the picture as SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12.0, 8.5), layout="constrained")
        axes = figure.subplots(2, 2)
        _bars(axes[0, 0], sections["guarded_call"].tables[0])
        _bars(axes[0, 1], sections["record_failure"].tables[0])
        _groups(axes[1, 0], sections["clients"].tables[0])
        _lines(axes[1, 1], sections["growth"].tables)
        figure.savefig(file, format="svg", metadata={"Date": None})


def _bars(axes: Axes, table: Table) -> None:
    rows = [(str(row[0]), table.number(str(row[0]), MEDIAN) or 0.0) for row in reversed(table.rows)]
    names, medians = zip(*rows, strict=True)
    bars = axes.barh(names, medians, color=[_color(name) for name in names])
    axes.bar_label(bars, [shown(median) for median in medians], padding=3)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{table.title}: {MEDIAN}, logarithmic")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _groups(axes: Axes, table: Table) -> None:
    columns = [column for column in table.columns if column.endswith("ops/s")]
    width = 0.8 / len(table.rows)
    for number, row in enumerate(table.rows):
        name = str(row[0])
        places = [group + number * width for group in range(len(columns))]
        axes.bar(places, [table.number(name, column) or 0.0 for column in columns], width, label=name)
    axes.set_xticks([group + 0.4 - width / 2 for group in range(len(columns))])
    axes.set_xticklabels([column.partition(":")[0] for column in columns])
    axes.set_xlabel("clients")
    axes.set_title(f"{table.title}: calls a second")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def _lines(axes: Axes, tables: tuple[Table, ...]) -> None:
    for table in tables:
        # "1,000 breakers", but not those of which few are in use.
        rows = [str(row[0]) for row in table.rows if str(row[0]).endswith("breakers")]
        sizes = [int(name.split()[0].replace(",", "")) for name in rows]
        axes.plot(sizes, [table.number(name, MEDIAN) or 0.0 for name in rows], marker="o", label=table.title)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("breakers in the table")
    axes.set_title(f"Growth: {MEDIAN}")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def _color(name: str) -> str:
    if name.startswith("raw"):
        return LIMIT
    return OURS if "Store, " in name or "Breaker, " in name or name == "RedisStore" else OTHERS
