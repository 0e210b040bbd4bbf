"""Ways to break the rules, each of which some test must notice.

The mutants of the pure rules are made from their syntax tree: every condition loses each of its parts, every
comparison moves by one, every branch is taken always, every assignment is left out. Those of SQL and Lua, which no
parser here understands, are texts replaced by others.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RULES = "cbstore_sql/rules.py"
STATEMENTS = "cbstore_sql/stores/sql/statements.py"
FUNCTIONS = "cbstore_sql/stores/sql/functions.py"

PURE = ("tests/unit/rules",)
SQL = ("tests/sql/test_statements.py", "tests/sql/test_one_statement.py", "tests/contract", "-k", "postgresql or sql")
RACES = ("tests/contract/test_races.py", "tests/contract/test_processes.py", "-k", "postgresql")
CLOCK = ("tests/sql/test_clock.py",)
MIRROR = ("tests/redis/test_lua_mirrors_rules.py",)
HASH = ("tests/redis", "tests/contract", "-k", "redis and not scripting and not processes")


@dataclass(frozen=True)
class Mutant:
    """One file with one thing broken in it.

    Attributes:
        name: What is broken.
        path: The file, from the top of the repository.
        text: Its broken text.
        tests: Which tests have to notice, as arguments for pytest.
    """

    name: str
    path: str
    text: str
    tests: tuple[str, ...]


def all_mutants(root: Path) -> Iterator[Mutant]:
    """Make every mutant of the repository that stands at ``root``."""
    yield from _rule_mutants((root / RULES).read_text(encoding="utf-8"))
    for name, path, old, new, tests in _TEXTS:
        text = (root / path).read_text(encoding="utf-8")
        if old not in text:
            raise LookupError(f"{path} has no {old!r} any more: the mutant {name!r} must follow the code")
        yield Mutant(name, path, text.replace(old, new), tests)
    yield from _lua_mutants(root)


# The smaller or the larger of two equal numbers is either.
_EQUIVALENT = (
    "_next_open_seconds: longer < given.recovery_timeout_cap compared otherwise",
    "_larger: a > b compared otherwise",
)


def _rule_mutants(text: str) -> Iterator[Mutant]:
    tree = ast.parse(text)
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            for index, node in enumerate(ast.walk(function)):
                for name, change in _changes(node):
                    mutated = copy.deepcopy(tree)
                    change(list(ast.walk(_function(mutated, function.name)))[index])
                    label = f"{function.name}: {name}"
                    if label in _EQUIVALENT:
                        continue
                    yield Mutant(label, RULES, ast.unparse(ast.fix_missing_locations(mutated)), PURE)


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


Change = Callable[[Any], None]

_OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
}


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        yield f"{ast.unparse(node)} without its right side", _become(lambda n: n.left)
        yield f"{ast.unparse(node)} without its left side", _become(lambda n: n.right)
    elif isinstance(node, ast.BinOp):
        yield f"{ast.unparse(node)} without its right side", _become(lambda n: n.left)
    elif isinstance(node, ast.Compare):
        yield f"{ast.unparse(node)} compared otherwise", _compare_otherwise
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "when":
        yield f"{ast.unparse(node)}: always the first", _become(lambda n: n.args[1])
        yield f"{ast.unparse(node)}: always the second", _become(lambda n: n.args[2])
    elif isinstance(node, ast.Dict):
        for place, key in enumerate(node.keys):
            yield f"{ast.unparse(key) if key else ''} is left alone", _without(place)


def _become(part: Callable[[Any], ast.AST]) -> Change:
    def change(node: ast.AST) -> None:
        other = part(node)
        node.__class__ = other.__class__
        node.__dict__ = other.__dict__

    return change


def _compare_otherwise(node: ast.Compare) -> None:
    node.ops = [_OTHER_COMPARISON[type(node.ops[0])]()]


def _without(place: int) -> Change:
    def change(node: ast.Dict) -> None:
        del node.keys[place]
        del node.values[place]

    return change


_TEXTS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "SQL: the namespace is no part of the key",
        STATEMENTS,
        'table.c.namespace == _given("namespace")',
        "sa.true()",
        SQL,
    ),
    ("SQL: the name is no part of the key", STATEMENTS, 'table.c.name == _given("name")', "sa.true()", SQL),
    ("SQL: no row-level condition", STATEMENTS, ".where(*_key(table), *_where(change))", ".where(*_key(table))", SQL),
    (
        "SQL: an upsert without its condition",
        STATEMENTS,
        "set_=dict(change.values), where=where",
        "set_=dict(change.values)",
        SQL,
    ),
    ("SQL: the time the transaction began", FUNCTIONS, "clock_timestamp()", "now()", CLOCK),
    ("SQL: the time the statement began", FUNCTIONS, "clock_timestamp()", "statement_timestamp()", CLOCK),
    (
        "SQL: the row is read through a common table expression",
        STATEMENTS,
        "    change = _change(operation, table.c)\n    return sa.update(table).where(*_key(table), *_where(change))",
        '    seen = sa.select(table).where(*_key(table)).cte("seen")\n'
        "    change = _change(operation, seen.c)\n"
        "    return sa.update(table).where(*_key(table), seen.c.name == table.c.name, *_where(change))",
        RACES,
    ),
    (
        "SQL: the state is read through a sub-select",
        STATEMENTS,
        "    change = _change(operation, table.c)\n    return sa.update(table)",
        '    seen = table.alias("seen")\n'
        "    state = sa.select(seen.c.state).where(*_key(seen)).scalar_subquery()\n"
        "    columns = {column.name: column for column in table.c} | {'state': state}\n"
        "    change = _change(operation, SimpleNamespace(**columns))\n    return sa.update(table)",
        RACES,
    ),
)

_LUA = ((">=", ">"), ("<=", "<"), ("==", "~="), (" and ", " or "), (" or ", " and "), (" + 1", " + 2"))


def _lua_mutants(root: Path) -> Iterator[Mutant]:
    for path in sorted((root / "cbstore_sql/stores/redis").rglob("*.lua")):
        text = path.read_text(encoding="utf-8")
        for old, new in _LUA:
            for place in range(text.count(old)):
                start = _nth(text, old, place)
                line = text[: start + 1].count("\n") + 1
                if text.splitlines()[line - 1].lstrip().startswith("--"):
                    continue
                name = f"{path.name}:{line}: {old.strip()} becomes {new.strip()}"
                mutated = text[:start] + new + text[start + len(old) :]
                yield Mutant(name, str(path.relative_to(root)), mutated, HASH if path.name == "_hash.lua" else MIRROR)


def _nth(text: str, part: str, place: int) -> int:
    start = text.index(part)
    for _ in range(place):
        start = text.index(part, start + 1)
    return start
