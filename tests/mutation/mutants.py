"""All the mutants: which code is broken how, and which tests have to notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.mutation import lua, named, syntax
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutant import Mutant, Selection
from tests.mutation.selections import BREAKERS, GATE, GOLDEN, HOOKED, LEASES, MIGRATED, OUT, RETRIES, SQLITE, TABLES

# By file: each function of it is broken in every way that its syntax tree has.
_PYTHON: dict[str, tuple[Selection, ...]] = {
    "rules.py": (TABLES, GOLDEN),
    "machine.py": (TABLES,),
    "deadline.py": (("tests/unit/test_deadline.py",),),
    "view.py": (("tests/breaker/test_view.py",), BREAKERS, ("tests/sql/push",)),
    "local.py": (("tests/breaker/test_local_breakers.py",), ("tests/breaker/test_local_outage.py",)),
    "outage.py": (("tests/breaker/test_outage.py", "tests/breaker/test_store_outage.py"), HOOKED),
    "circuits.py": (("tests/unit/test_circuits.py",), BREAKERS),
    "owed.py": (GATE, OUT),
    "handover.py": (("tests/unit/test_handover.py",), GATE, OUT),
    "gate.py": (GATE, OUT, BREAKERS, HOOKED),
    "stores/combining.py": (("tests/breaker/test_combining.py",), ("tests/unit/test_forking.py",)),
    "stores/sql/retries.py": (RETRIES, LEASES, MIGRATED),
    "stores/sql/forms.py": (("tests/unit/test_forms.py",), GOLDEN),
    "stores/sql/queries.py": (("tests/sql/test_queries.py",), RETRIES, SQLITE),
}


def all_mutants(root: Path) -> Iterator[Mutant]:
    """Make every mutant of the repository that stands at ``root``, those excluded by name too."""
    for path, tests in _PYTHON.items():
        text = (root / "cbstore_sql" / path).read_text(encoding="utf-8")
        for name, broken in syntax.mutated(text):
            yield Mutant(f"{path} {name}", f"cbstore_sql/{path}", broken, tests)
    yield from named.mutants(root)
    yield from lua.mutants(root)


def tried(root: Path, wanted: str) -> tuple[list[Mutant], int]:
    """Return the mutants whose name holds ``wanted``, and how many more are excluded.

    Raises:
        LookupError: One excluded by name is none any more.
    """
    found = list(_numbered(all_mutants(root)))
    if stale := EQUIVALENT.keys() - {mutant.name for mutant in found}:
        raise LookupError(f"not made any more: {', '.join(sorted(stale))}")
    mutants = [mutant for mutant in found if wanted in mutant.name]
    return [mutant for mutant in mutants if mutant.name not in EQUIVALENT], sum(
        mutant.name in EQUIVALENT for mutant in mutants
    )


def _numbered(mutants: Iterator[Mutant]) -> Iterator[Mutant]:
    """Tell apart those that do the same in several places of one function."""
    seen: Counter[str] = Counter()
    for mutant in mutants:
        seen[mutant.name] += 1
        again = seen[mutant.name] > 1
        yield replace(mutant, name=f"{mutant.name} ({seen[mutant.name]})") if again else mutant
