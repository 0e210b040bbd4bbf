"""Which sizes, subjects and results belong to which options. Nothing is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.results import Section
from benchmarks.sizes import FULL, QUICK
from benchmarks.subjects import SUBJECTS


class Run:
    """Stands for the measurements, and remembers what the command asked for."""

    def __init__(self) -> None:
        self.fleets: tuple[tuple[int, int], ...] = ()
        self.names: list[str] = []
        self.published = False

    def measure(self, bench: Bench, names: Sequence[str]) -> Mapping[str, Section]:
        self.fleets, self.names = bench.sizes.fleets, list(names)
        return {}

    def publish(self, found: report.Report) -> None:
        self.published = True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def nothing(*_: Any) -> None: ...

    run = Run()
    monkeypatch.setattr(command, "started", lambda: nullcontext((None, {})))
    monkeypatch.setattr(command, "hired", lambda _: nullcontext())
    monkeypatch.setattr(command, "measure", run.measure)
    monkeypatch.setattr(report, "keep", nothing)
    monkeypatch.setattr(report, "publish", run.publish)
    return run


def test_a_whole_run_measures_every_subject_and_one_fleet_of_64_and_is_published(run: Run) -> None:
    assert command.main([]) == 0
    assert (run.names, run.fleets, run.published) == (list(SUBJECTS), ((8, 8),), True)


@pytest.mark.parametrize("words", [["--quick"], ["--fleets"], ["--only", "growth"], ["--quick", "--fleets"]])
def test_a_run_with_an_option_is_not_published(words: list[str], run: Run) -> None:
    assert command.main(words) == 0
    assert not run.published


@pytest.mark.parametrize("words", [["--fleets"], ["--quick", "--fleets", "--only", "fleet"]])
def test_fleets_measures_8_64_and_1008_processes(words: list[str], run: Run) -> None:
    assert command.main(words) == 0
    assert [hosts * processes for hosts, processes in run.fleets] == [8, 64, 1008]


def test_the_sizes_measure_one_fleet_each() -> None:
    assert (FULL.fleets, QUICK.fleets) == (((8, 8),), ((1, 8),))
