"""One way to break the code, and the tests that have to notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Selection = tuple[str, ...]
"""Tests, as arguments for pytest."""


@dataclass(frozen=True)
class Mutant:
    """One file with one thing broken in it.

    Attributes:
        name: What is broken.
        path: The file, from the top of the repository.
        broken: Makes its broken text.
        tests: Which tests have to notice: each selection is run where the one before it did not.
    """

    name: str
    path: str
    broken: Callable[[], str]
    tests: tuple[Selection, ...]
