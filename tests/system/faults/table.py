"""The rows of the table in the docs: each fault with its test, the expected and the observed behaviour."""

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
    """A fault as a test causes it.

    Attributes:
        number: The number of the fault. Several tests may cause the same fault in different ways.
        made: What the test does.
        expected: The expected behaviour.
    """

    number: int
    made: str
    expected: str


@dataclass(frozen=True)
class Row:
    """The observations of one test.

    Attributes:
        test: The test's node id.
        number: See `Fault`.
        made: See `Fault`.
        expected: See `Fault`.
        observed: In words.
        recovered: Seconds from the end of the fault until the store was used again; ``None`` if the store was never
            out of use.
        calls: The number of all guarded calls, or of all operations of a store without a breaker.
        calls_lost: The number of calls that did not reach the dependency, or of operations that failed.
        answers_lost: Answers of the dependency that did not reach their caller.
        counts_lost: The number of failures missing in the store at the end.
        counts_doubled: The number of failures counted twice in the store.
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
    """Return a decorator that names the fault of a test. The test passes its observations to ``observed``."""

    def decorate(test: F) -> F:
        _faults[test] = Fault(number, made, expected)
        return test

    return decorate


def registered() -> list[Callable[..., Any]]:
    """Return the tests that cause a fault, from the imported modules."""
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
