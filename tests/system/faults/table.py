"""What is expected at each fault, where it is made, and what was observed: the rows of the table in the docs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

OBSERVED_VARIABLE = "CBSTORE_FAULTS_OBSERVED"
"""The file that a run appends what it observed to, one JSON object a line; unset, nothing is kept."""

IS_LONG = OBSERVED_VARIABLE in os.environ
"""Whether a run may take its time: its figures are kept."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fault:
    """A fault as a test makes it.

    Attributes:
        number: Of the fault; several tests may make the same one in different ways.
        made: What is done.
        expected: What should come of it.
    """

    number: int
    made: str
    expected: str


@dataclass(frozen=True)
class Row:
    """What one test observed.

    Attributes:
        test: The test's node id.
        number: See `Fault`.
        made: See `Fault`.
        expected: See `Fault`.
        observed: In words.
        recovered: Seconds from the end of the fault until the store was used again; ``None`` where nothing was lost
            to begin with.
        calls: How many guarded calls, or operations of a bare store, were made in all.
        calls_lost: Calls that the fault kept from the dependency, or operations that never came to an end.
        answers_lost: Answers of the dependency that did not reach their caller.
        counts_lost: Failures that are not in the store, at last.
        counts_doubled: Failures that are in the store twice.
    """

    test: str
    number: int
    made: str
    expected: str
    observed: str
    recovered: float | None = None
    calls: int | None = None
    calls_lost: int | None = None
    answers_lost: int | None = None
    counts_lost: int | None = None
    counts_doubled: int | None = None


_faults: dict[Callable[..., Any], Fault] = {}


def fault(number: int, made: str, expected: str) -> Callable[[F], F]:
    """Say which fault a test makes; the test calls its fixture ``observed`` with what it saw."""

    def decorate(test: F) -> F:
        _faults[test] = Fault(number, made, expected)
        return test

    return decorate


def registered() -> list[Callable[..., Any]]:
    """The tests that make a fault, as far as their modules are imported."""
    return list(_faults)


Observed = Callable[..., None]
"""Called with what a test observed: the fields of `Row` from ``observed`` on."""


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Iterator[Observed]:
    fault = _faults[request.function]
    rows: list[Row] = []

    def observe(observed: str, **measured: Any) -> None:
        rows.append(Row(request.node.nodeid, **asdict(fault), observed=observed, **measured))

    yield observe
    if rows and (file := os.environ.get(OBSERVED_VARIABLE)):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
