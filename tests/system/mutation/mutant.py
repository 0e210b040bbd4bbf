"""One way to break the code, and the tests that must detect it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Selection = tuple[str, ...]
"""Tests, as arguments for pytest."""


@dataclass(frozen=True)
class Mutant:
    """One file with one deliberate mistake.

    Attributes:
        name: What the mutant breaks.
        path: The file, from the top of the repository.
        broken: A function that returns the broken text of the file.
        tests: The tests that must detect the mutant. Each selection runs if the previous selection did not detect it.
    """

    name: str
    path: str
    broken: Callable[[], str]
    tests: tuple[Selection, ...]
