"""All mutants: which code they break, and which tests must detect them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.system.mutation import lua, named, syntax
from tests.system.mutation.equivalent import EQUIVALENT
from tests.system.mutation.mutant import Mutant, Selection
from tests.system.mutation.selections import (
    BREAKERS,
    GATE,
    GOLDEN,
    HOOKED,
    LEASES,
    MIGRATED,
    OUT,
    RETRIES,
    SQLITE,
    TABLES,
)

# By file: each function of it is broken in every way that its syntax tree has.
_PYTHON: dict[str, tuple[Selection, ...]] = {
    "core/rules.py": (TABLES, GOLDEN),
    "core/score.py": (("tests/core/test_score.py",), TABLES, GOLDEN),
    "core/commands.py": (TABLES, ("tests/core/test_commands.py",), GOLDEN),
    "deadline.py": (("tests/test_deadline.py",),),
    "breaker/view.py": (("tests/breaker/test_view.py",), BREAKERS, ("tests/stores/sql/push",)),
    "breaker/seen.py": (("tests/breaker/test_seen.py",), ("tests/breaker/test_view.py",), BREAKERS),
    "breaker/outage/local_store.py": (
        ("tests/breaker/outage/test_local_store.py",),
        ("tests/breaker/outage/test_local.py",),
        ("tests/breaker/outage/test_local_outage.py",),
    ),
    "breaker/outage/local.py": (
        ("tests/breaker/outage/test_local.py",),
        ("tests/breaker/outage/test_local_outage.py",),
    ),
    "breaker/outage/detector.py": (
        ("tests/breaker/outage/test_detector.py", "tests/breaker/outage/test_store_outage.py"),
        HOOKED,
    ),
    "breaker/flow.py": (("tests/breaker/test_flow.py",), BREAKERS),
    "breaker/outage/outbox.py": (GATE, OUT),
    "breaker/outage/resync.py": (("tests/breaker/outage/test_resync.py",), GATE, OUT),
    "breaker/outage/recovery.py": (GATE, OUT),
    "breaker/controller.py": (GATE, OUT, BREAKERS, HOOKED),
    "breaker/settling.py": (("tests/breaker/test_settling.py",), GATE, OUT, BREAKERS),
    "breaker/demands.py": (("tests/breaker/test_demands.py",),),
    "breaker/insight.py": (("tests/breaker/test_insight.py",),),
    "breaker/direct_changes.py": (("tests/breaker/test_direct_changes.py",),),
    "breaker/store_answers.py": (("tests/breaker/test_store_answers.py",),),
    "breaker/score_limit.py": (("tests/breaker/test_score_limit.py",), ("tests/breaker/test_min_reporters.py",)),
    "breaker/outage/calls.py": (("tests/breaker/outage/test_calls.py",), GATE, OUT, BREAKERS),
    "breaker/refresh.py": (GATE, BREAKERS, HOOKED),
    "breaker/notifier.py": (GATE, HOOKED),
    "stores/batching.py": (("tests/breaker/test_batching.py",), ("tests/runtime/test_fork.py",)),
    "stores/sql/retry.py": (RETRIES, LEASES, MIGRATED),
    "stores/sql/statements/partial_eval.py": (("tests/stores/sql/statements/test_partial_eval.py",), GOLDEN),
    "stores/sql/operations.py": (("tests/stores/sql/test_operations.py",), RETRIES, SQLITE),
}


def all_mutants(root: Path) -> Iterator[Mutant]:
    """Make every mutant of the repository at ``root``, including the excluded ones."""
    for path, tests in _PYTHON.items():
        text = (root / "cbstore_sql" / path).read_text(encoding="utf-8")
        for name, broken in syntax.mutated(text):
            yield Mutant(f"{path} {name}", f"cbstore_sql/{path}", broken, tests)
    yield from named.mutants(root)
    yield from lua.mutants(root)


def tried(root: Path, wanted: str) -> tuple[list[Mutant], int]:
    """Return the mutants whose name contains ``wanted``, and the number of excluded mutants.

    Raises:
        LookupError: An excluded name is no longer the name of a mutant.
    """
    found = list(_numbered(all_mutants(root)))
    if stale := EQUIVALENT.keys() - {mutant.name for mutant in found}:
        raise LookupError(f"not made any more: {', '.join(sorted(stale))}")
    mutants = [mutant for mutant in found if wanted in mutant.name]
    return [mutant for mutant in mutants if mutant.name not in EQUIVALENT], sum(
        mutant.name in EQUIVALENT for mutant in mutants
    )


def _numbered(mutants: Iterator[Mutant]) -> Iterator[Mutant]:
    """Number the mutants with the same name in one function."""
    seen: Counter[str] = Counter()
    for mutant in mutants:
        seen[mutant.name] += 1
        again = seen[mutant.name] > 1
        yield replace(mutant, name=f"{mutant.name} ({seen[mutant.name]})") if again else mutant
