"""A text in the place of another."""

from __future__ import annotations

from typing import NamedTuple

from tests.system.mutation.mutant import Selection

Broken = tuple[str, str, str, str, tuple[Selection, ...]]
"""The fields of a `Text`."""


class Text(NamedTuple):
    """A text in the place of another, each time that stands in a file.

    Attributes:
        name: What it breaks.
        path: The file, within the package.
        old: The sound text.
        new: The broken one.
        tests: See `Mutant`.
    """

    name: str
    path: str
    old: str
    new: str
    tests: tuple[Selection, ...]
