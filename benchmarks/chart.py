"""The figures as pictures: one question each, readable on a light and on a dark page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.render import shown
from benchmarks.results import MEDIAN, Section, Table

# Each colour of a picture: what matplotlib draws with, and what a light and a dark page show instead.
_PALETTE = {
    "ink": ("#010203", "#1f2328", "#e6edf3"),
    "faint": ("#010204", "#d0d7de", "#3d444d"),
    "ours": ("#010205", "#0969da", "#58a6ff"),
    "others": ("#010206", "#bc4c00", "#f0883e"),
    "limit": ("#010207", "#6e7781", "#9198a1"),
}
_INK, _FAINT, OURS, OTHERS, LIMIT = (drawn for drawn, _, _ in _PALETTE.values())

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "cbstore_sql",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    **{f"{name}.color": _INK for name in ("text", "xtick", "ytick")},
    **{f"axes.{name}": _INK for name in ("edgecolor", "labelcolor", "titlecolor")},
    "grid.color": _FAINT,
}
_KEY = {"cbstore_sql": OURS, "another breaker": OTHERS, "no breaker, or the statement by hand": LIMIT}
_WIDTH, _ROW, _FRAME = 9.0, 0.34, 1.35

_FEW_DECADES = 50.0
"""An axis that spans less than this factor has marks at 2 and 5 too, not only at powers of ten."""


def draw(sections: Mapping[str, Section], directory: Path, stem: str) -> list[Path]:
    """Draw each picture whose section was measured, as SVG, and return the files.

    Args:
        sections: What a run found, by subject.
        directory: Where the pictures are written.
        stem: The first part of each file's name.
    """
    files = []
    with mpl.rc_context(_STYLE):
        for name, (subject, make) in PICTURES.items():
            if subject in sections:
                file = directory / f"{stem}-{name}.svg"
                make(sections[subject].tables).savefig(
                    file, format="svg", transparent=True, metadata={"Date": None, "Title": name}
                )
                file.write_text(_with_palette(file.read_text(encoding="utf-8")), encoding="utf-8")
                files.append(file)
    return files


def _dots(table: Table, title: str) -> Figure:
    """Draw one dot for each row, on a logarithmic axis, with the figure beside the dot."""
    figure = Figure(figsize=(_WIDTH, _FRAME + _ROW * len(table.rows)), layout="constrained")
    axes = figure.subplots()
    medians = {str(row[0]): table.number(str(row[0]), MEDIAN) for row in table.rows}
    _row_of_dots(axes, medians)
    known = [median for median in medians.values() if median]
    if max(known) < _FEW_DECADES * min(known):
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.set_title(title)
    axes.set_xlabel(f"{MEDIAN}, logarithmic: further left is faster")
    _key(figure, table)
    return figure


def _clients(table: Table) -> Figure:
    """Draw a panel of dots for each number of clients."""
    columns = [column for column in table.columns if column.endswith("ops/s")]
    figure = Figure(figsize=(_WIDTH, _FRAME + _ROW * len(table.rows)), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, len(columns), sharey=True, sharex=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        _row_of_dots(axes, {str(row[0]): table.number(str(row[0]), column) for row in table.rows})
        clients = column.partition(":")[0]
        axes.set_title(f"{clients} client{'' if clients == '1' else 's'}")
        axes.margins(x=0.35)
    figure.suptitle("Failures counted on one breaker", x=0.01, ha="left", fontsize="medium")
    panels[len(panels) // 2].set_xlabel("calls a second, logarithmic: further right is faster")
    _key(figure, table)
    return figure


def _growth(tables: Sequence[Table]) -> Figure:
    """Draw a line for each operation, named at its end."""
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    for table, color in zip(tables, (OURS, _INK), strict=True):
        # "1,000 breakers", but not those of which few are in use.
        rows = [str(row[0]) for row in table.rows if str(row[0]).endswith("breakers")]
        sizes = [int(name.split()[0].replace(",", "")) for name in rows]
        medians = [table.number(name, MEDIAN) or 0.0 for name in rows]
        axes.plot(sizes, medians, marker="o", color=color)
        operation = table.title.removesuffix(", by the number of breakers")
        axes.annotate(operation, (sizes[-1], medians[-1]), (8, 0), textcoords="offset points", color=color, va="center")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.set_xlabel("breakers in the table, logarithmic")
    axes.set_ylabel(MEDIAN)
    axes.set_title("One store operation, by the size of the table")
    axes.grid(axis="y")
    return figure


PICTURES: Mapping[str, tuple[str, Callable[[Sequence[Table]], Figure]]] = {
    "answered": ("guarded_call", lambda tables: _dots(tables[0], "A guarded call that answers")),
    "failed": ("guarded_call", lambda tables: _dots(tables[1], "A guarded call that fails")),
    "counted": ("record_failure", lambda tables: _dots(tables[0], "A store counts one failure")),
    "clients": ("clients", lambda tables: _clients(tables[0])),
    "growth": ("growth", _growth),
}
"""For each picture: the subject whose figures it shows, and the function that draws them."""


def _row_of_dots(axes: Axes, figures: Mapping[str, float | None]) -> None:
    known = {name: figure for name, figure in figures.items() if figure}
    places = [list(figures).index(name) for name in known]
    axes.scatter([*known.values()], places, s=48, color=[_color(name) for name in known], zorder=3)
    for place, figure in zip(places, known.values(), strict=True):
        axes.annotate(shown(figure), (figure, place), (7, 0), textcoords="offset points", va="center", fontsize="small")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(figures)), [*figures])
    axes.set_ylim(len(figures) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.grid(axis="y", linestyle=":")
    axes.tick_params(axis="y", length=0)


def _key(figure: Figure, table: Table) -> None:
    """Name the colours below the picture, where no figure is."""
    used = {_color(str(row[0])) for row in table.rows}
    dots = [
        Line2D([], [], color=color, marker="o", linestyle="", label=name)
        for name, color in _KEY.items()
        if color in used
    ]
    figure.legend(handles=dots, loc="outside lower left", ncols=len(dots), frameon=False, fontsize="small")


def _color(name: str) -> str:
    if name.startswith(("raw", "no breaker")):
        return LIMIT
    return OURS if "Store, " in name or "Breaker, " in name or name == "RedisStore" else OTHERS


def _with_palette(picture: str) -> str:
    """Replace each colour by a variable that follows the reader's light or dark setting."""
    for name, (drawn, _, _) in _PALETTE.items():
        picture = picture.replace(drawn, f"var(--{name})")
    light = _variables(f"--{name}: {light}" for name, (_, light, _) in _PALETTE.items())
    dark = _variables(f"--{name}: {dark}" for name, (_, _, dark) in _PALETTE.items())
    style = f"<style>svg {{{light}}} @media (prefers-color-scheme: dark) {{ svg {{{dark}}} }}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda opening: f"{opening[1]}\n {style}", picture, count=1)


def _variables(definitions: Iterable[str]) -> str:
    return " " + "; ".join(definitions) + " "
