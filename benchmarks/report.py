"""A run's figures in files: for programs, for the documentation, and what machine they come from."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import chart, render
from benchmarks.results import Section, plain, section_of

ROOT = Path(__file__).parents[1]
LATEST = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"

BEGIN, END = "<!-- figures: written by `make bench` -->\n", "<!-- end of the figures -->\n"
_PACKAGES = ("sqlalchemy", "psycopg", "redis", "hiredis", "pybreaker", "purgatory", "resilient-circuit")


@dataclass(frozen=True)
class Report:
    """What one run found.

    Attributes:
        machine: What it ran on, in words.
        sections: By subject.
    """

    machine: Mapping[str, str]
    sections: Mapping[str, Section]

    def as_json(self) -> str:
        """Return it for `read`."""
        sections = {name: plain(section) for name, section in self.sections.items()}
        return json.dumps({"machine": self.machine, "subjects": sections}, indent=1) + "\n"

    def as_markdown(self) -> str:
        """Return machine, targets and all tables for the documentation."""
        machine = "; ".join(f"{name} {value}" for name, value in self.machine.items())
        parts = [machine + ".", render.as_markdown(render.targets_table(self.sections.values()))]
        for section in self.sections.values():
            parts += [f"### {section.title}", *(render.as_markdown(table) for table in section.tables)]
        return "\n\n".join(parts) + "\n"


def machine(sizes: str, versions: Mapping[str, str]) -> dict[str, str]:
    """Describe where a run takes place, without a name or a path.

    Args:
        sizes: What the run's sizes are called.
        versions: Of the servers.
    """
    found = {
        "run": sizes,
        "on": f"{os.cpu_count()} cores of {_processor()}, {platform.system()}",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **versions,
    }
    return found | {name: version(name) for name in _PACKAGES}


def read(file: Path) -> Report:
    """Return a report that was kept as JSON."""
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Report(kept["machine"], {name: section_of(section) for name, section in kept["subjects"].items()})


def keep(report: Report, directory: Path, stem: str) -> None:
    """Write the figures as JSON, and a picture of each subject that has one."""
    directory.mkdir(exist_ok=True)
    (directory / f"{stem}.json").write_text(report.as_json(), encoding="utf-8")
    chart.draw(report.sections, directory, stem)


def publish(report: Report) -> None:
    """Put the figures into the documentation."""
    (DOCS / "performance.json").write_text(report.as_json(), encoding="utf-8")
    chart.draw(report.sections, DOCS / "pictures", "performance")
    page = DOCS / "performance.md"
    page.write_text(with_figures(page.read_text(encoding="utf-8"), report), encoding="utf-8")


def with_figures(page: str, report: Report) -> str:
    """Return a page with a report's figures between its marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{report.as_markdown()}\n{END}{after}"


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
