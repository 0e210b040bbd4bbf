"""Mutants of Python, made from its syntax tree.

Every condition loses each of its parts, every comparison is moved, every branch is taken always and never, every
assignment and every call for its effect is left out, and every member of a table or of an enumeration is another.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

Change = Callable[[Any], None]

_OTHERWISE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

# A fence is also broken by accepting older or newer permits.
_FENCE = "generation"

_ENUMS = ("Verdict", "Effect")


def mutated(text: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """Break a module in every way. Yield what is broken, and a function that returns the broken text."""
    tree = ast.parse(text)
    for place, (scope, node) in enumerate(_nodes(tree)):
        for what, change in _changes(scope, node):
            yield f"{scope}: {what}", partial(_broken, text, place, change)


def _broken(text: str, place: int, change: Change) -> str:
    tree = ast.parse(text)
    change(next(islice(_nodes(tree), place, None))[1])
    return ast.unparse(ast.fix_missing_locations(tree))


def _nodes(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield every executed node with its function or class, without type annotations."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list") or _names_slots(node):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from _nodes(child, f"{scope}.{child.name}".lstrip("."))
            elif isinstance(child, ast.AST):
                yield scope, child
                yield from _nodes(child, scope)


def _names_slots(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"


def _changes(scope: str, node: ast.AST) -> Iterator[tuple[str, Change]]:
    for kind, changes in _BY_KIND.items():
        if isinstance(node, kind):
            yield from changes(node)
    if isinstance(node, ast.Assign) and scope and not scope.endswith("__init__"):
        yield from _assignment(node)


def _operation(node: ast.BinOp) -> Iterator[tuple[str, Change]]:
    yield f"{ast.unparse(node)} without its right side", _become(lambda n: n.left)
    if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        yield f"{ast.unparse(node)} without its left side", _become(lambda n: n.right)


def _both(node: ast.BoolOp) -> Iterator[tuple[str, Change]]:
    for place, part in enumerate(node.values):
        yield f"{ast.unparse(node)} without {ast.unparse(part)}", _without_part(place)


def _negation(node: ast.UnaryOp) -> Iterator[tuple[str, Change]]:
    if isinstance(node.op, ast.Not):
        yield f"{ast.unparse(node)} without its not", _become(lambda n: n.operand)


def _comparison(node: ast.Compare) -> Iterator[tuple[str, Change]]:
    yield f"{ast.unparse(node)} compared otherwise", _compare(_OTHERWISE[type(node.ops[0])])
    if isinstance(node.ops[0], ast.Eq) and ast.unparse(node.left).endswith(_FENCE):
        yield f"{ast.unparse(node)} or older", _compare(ast.GtE)
        yield f"{ast.unparse(node)} or newer", _compare(ast.LtE)


def _call(node: ast.Call) -> Iterator[tuple[str, Change]]:
    function = ast.unparse(node.func)
    if function in ("when", "min", "max") and len(node.args) > 1:
        yield f"{ast.unparse(node)}: always the first", _become(lambda n: n.args[-2])
        yield f"{ast.unparse(node)}: always the second", _become(lambda n: n.args[-1])


def _branch(node: ast.If) -> Iterator[tuple[str, Change]]:
    yield f"if {ast.unparse(node.test)}: always", _test(True)
    yield f"if {ast.unparse(node.test)}: never", _test(False)


def _loop(node: ast.While) -> Iterator[tuple[str, Change]]:
    if not isinstance(node.test, ast.Constant):
        yield f"while {ast.unparse(node.test)}: never", _test(False)


def _choice(node: ast.IfExp) -> Iterator[tuple[str, Change]]:
    yield f"{ast.unparse(node)}: always the first", _become(lambda n: n.body)
    yield f"{ast.unparse(node)}: always the second", _become(lambda n: n.orelse)


def _effect(node: ast.Expr) -> Iterator[tuple[str, Change]]:
    if not isinstance(node.value, ast.Constant):
        yield f"{ast.unparse(node)} left out", _become(lambda _: ast.Pass())


def _refusal(node: ast.Raise) -> Iterator[tuple[str, Change]]:
    yield f"{ast.unparse(node)} left out", _become(lambda _: ast.Pass())


def _assignment(node: ast.Assign) -> Iterator[tuple[str, Change]]:
    if all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets):
        yield f"{ast.unparse(node)} left out", _become(lambda _: ast.Pass())


def _table(node: ast.Dict) -> Iterator[tuple[str, Change]]:
    for place, key in enumerate(node.keys):
        if key is not None:
            yield f"{ast.unparse(key)} is left alone", _without_entry(place)


def _members(node: ast.Set | ast.Tuple) -> Iterator[tuple[str, Change]]:
    """Yield the members of tables of constants, such as names of operations and error codes."""
    if len(node.elts) > 1 and all(isinstance(part, (ast.Constant, ast.Attribute)) for part in node.elts):
        for place, part in enumerate(node.elts):
            yield f"without {ast.unparse(part)}", _without_member(place)


def _member(node: ast.Attribute) -> Iterator[tuple[str, Change]]:
    if isinstance(node.value, ast.Name) and node.value.id in _ENUMS and isinstance(node.ctx, ast.Load):
        for other in _OTHER_MEMBERS.get(node.attr, ()):
            yield f"{ast.unparse(node)} is {other}", _rename(other)


# For each outcome, the safest and the most dangerous replacement.
_OTHER_MEMBERS = {
    **dict.fromkeys(
        ("CONFLICT", "CREATED", "BUSY", "GONE", "READ_ONLY", "OUTDATED", "SHARED_SESSION"), ("NEVER", "UNKNOWN")
    ),
    "UNKNOWN": ("NEVER", "GONE"),
    "NEVER": ("UNKNOWN", "GONE"),
    "SAME": ("AGAIN",),
    "AGAIN": ("SAME",),
}

_BY_KIND: dict[type[ast.AST], Callable[[Any], Iterator[tuple[str, Change]]]] = {
    ast.BinOp: _operation,
    ast.BoolOp: _both,
    ast.UnaryOp: _negation,
    ast.Compare: _comparison,
    ast.Call: _call,
    ast.If: _branch,
    ast.While: _loop,
    ast.IfExp: _choice,
    ast.Expr: _effect,
    ast.Raise: _refusal,
    ast.AugAssign: _refusal,
    ast.Delete: _refusal,
    ast.Dict: _table,
    ast.Set: _members,
    ast.Tuple: _members,
    ast.Attribute: _member,
}


def _become(part: Callable[[Any], ast.AST]) -> Change:
    def change(node: ast.AST) -> None:
        other = part(node)
        node.__class__ = other.__class__
        node.__dict__ = other.__dict__

    return change


def _compare(operator: type[ast.cmpop]) -> Change:
    def change(node: ast.Compare) -> None:
        node.ops[0] = operator()

    return change


def _test(value: bool) -> Change:
    def change(node: ast.If | ast.While) -> None:
        node.test = ast.Constant(value)

    return change


def _rename(name: str) -> Change:
    def change(node: ast.Attribute) -> None:
        node.attr = name

    return change


def _without_part(place: int) -> Change:
    def change(node: ast.BoolOp) -> None:
        del node.values[place]

    return change


def _without_entry(place: int) -> Change:
    def change(node: ast.Dict) -> None:
        del node.keys[place]
        del node.values[place]

    return change


def _without_member(place: int) -> Change:
    def change(node: ast.Set | ast.Tuple) -> None:
        del node.elts[place]

    return change
