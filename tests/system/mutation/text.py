"""A mutant that replaces one text by another."""

from __future__ import annotations

from typing import NamedTuple

from tests.system.mutation.mutant import Selection

Broken = tuple[str, str, str, str, tuple[Selection, ...]]
"""The fields of a `Text`."""


class Text(NamedTuple):
    """A replacement of one text by another, at every place in a file.

    Attributes:
        name: What the mutant breaks.
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
