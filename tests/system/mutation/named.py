"""Mutants that replace one text by another."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.system.mutation import connections, counting, deadlines, statements
from tests.system.mutation.mutant import Mutant


def mutants(root: Path) -> Iterator[Mutant]:
    """Make the mutants.

    Raises:
        LookupError: The code no longer contains a text.
    """
    for text in (*statements.TEXTS, *deadlines.TEXTS, *connections.TEXTS, *counting.TEXTS):
        path = f"cbstore_sql/{text.path}"
        sound = (root / path).read_text(encoding="utf-8")
        if text.old not in sound:
            raise LookupError(f"{path} has no {text.old!r} any more: the mutant {text.name!r} must follow the code")
        yield Mutant(text.name, path, partial(sound.replace, text.old, text.new), text.tests)
