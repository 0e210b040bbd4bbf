"""``python -m tests.system.mutation [PART OF A NAME]``: break the code and check that a test fails.

Prints each mutant with its result, then the survivors and a summary. Exits with 1 if a mutant survived.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import monotonic

from tests.system.mutation.mutant import Mutant
from tests.system.mutation.mutants import tried
from tests.system.mutation.running import ROOT, try_all


def tell(mutant: Mutant, survived: bool) -> None:
    """Print the result of a mutant."""
    sys.stdout.write(f"{'SURVIVED' if survived else 'noticed '}  {mutant.name}\n")
    sys.stdout.flush()


def report(mutants: Sequence[Mutant], excluded: int) -> int:
    """Try mutants, print their results, and return the exit code."""
    began = monotonic()
    survivors = try_all(mutants, tell) if mutants else []
    sys.stdout.write("\n")
    for mutant in survivors:
        tell(mutant, True)
    sys.stdout.write(
        f"{len(mutants) + excluded} mutants: {len(mutants) - len(survivors)} noticed, {excluded} excluded, "
        f"{len(survivors)} survived; {monotonic() - began:.0f} s\n"
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(report(*tried(ROOT, "".join(sys.argv[1:]))))
