"""Measure everything, or some of it: ``python -m benchmarks [--quick] [--fleets] [--only NAME]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks import render, report
from benchmarks.bench import Bench
from benchmarks.report import Report
from benchmarks.results import Section
from benchmarks.servers import started
from benchmarks.sizes import ALL_FLEETS, FULL, QUICK
from benchmarks.subjects import SUBJECTS
from benchmarks.workers import hired
from tests.system.compat.published import PublishedCodeMissing

_FLEETS = "fleets of 8 and of 1,008 processes too; half an hour longer; nothing is published"


def main(words: Sequence[str]) -> int:
    """Run from a command line; 0 when everything was measured, whether or not the targets were met."""
    arguments = _parse(words)
    sizes = QUICK if arguments.quick else FULL
    if arguments.fleets:
        sizes = replace(sizes, fleets=ALL_FLEETS)
    names = arguments.only or list(SUBJECTS)
    try:
        with started() as (servers, versions), hired(sizes.processes) as crew:
            machine = report.machine(sizes.label, versions)
            sections = measure(Bench(servers, sizes, crew), names)
    except PublishedCodeMissing as error:
        _say(f"{error}\n")
        return 1
    found = Report(machine, sections)
    report.keep(found, report.LATEST, "latest")
    if sizes == FULL and not arguments.only:
        report.publish(found)
    return 0


def measure(bench: Bench, names: Sequence[str]) -> Mapping[str, Section]:
    """Go through subjects, say what each found, and last what happened to the targets."""
    sections = {}
    for name in names:
        began = time.monotonic()
        sections[name] = SUBJECTS[name](bench)
        _say(f"=== {sections[name].title} ({name}, {bench.sizes.label}, {time.monotonic() - began:.0f} s)\n\n")
        for table in sections[name].tables:
            _say(render.as_text(table) + "\n\n")
    _say(render.as_text(render.targets_table(sections.values())) + "\n")
    return sections


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure what the library costs.")
    parser.add_argument("--quick", action="store_true", help="a few minutes; nothing is published")
    parser.add_argument("--fleets", action="store_true", help=_FLEETS)
    parser.add_argument("--only", action="append", choices=SUBJECTS, metavar="NAME", help=", ".join(SUBJECTS))
    return parser.parse_args(words)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
