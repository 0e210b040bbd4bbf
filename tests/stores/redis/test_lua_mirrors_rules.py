"""The Lua files match the rules: the syntax tree of each rule is translated and compared with its file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cbstore_sql.core import rules
from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.stores.redis.codec import TEXT_PARAMETERS
from cbstore_sql.stores.redis.scripts import script, source

RULES = {
    node.name: node
    for node in ast.parse(Path(rules.__file__).read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
}
HELPERS = [name for name in RULES if name.startswith("_")]

# The operators in Lua, with their precedence.
OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.BitOr: ("or", 1),
    ast.BitAnd: ("and", 2),
    ast.Eq: ("==", 3),
    ast.NotEq: ("~=", 3),
    ast.LtE: ("<=", 3),
    ast.Lt: ("<", 3),
    ast.GtE: (">=", 3),
    ast.Gt: (">", 3),
    ast.Add: ("+", 4),
    ast.Sub: ("-", 4),
    ast.Mult: ("*", 5),
}

AND = OPERATORS[ast.BitAnd][1]


def parts(node: ast.expr) -> tuple[ast.AST, ast.expr, ast.expr] | None:
    match node:
        case ast.BinOp(left, operator, right) | ast.Compare(left, [operator], [right]):
            return operator, left, right
    return None


def operand(node: ast.expr, parent: int) -> str:
    found = parts(node)
    looser = found is not None and OPERATORS[type(found[0])][1] < parent
    return f"({to_lua(node)})" if looser else to_lua(node)


def table(fields: list[tuple[str, ast.expr]]) -> str:
    return "{" + ", ".join(f"{name} = {to_lua(value)}" for name, value in fields) + "}"


def to_lua(node: ast.expr) -> str:
    if found := parts(node):
        operator, left, right = found
        sign, binding = OPERATORS[type(operator)]
        return f"{operand(left, binding)} {sign} {operand(right, binding)}"
    match node:
        case ast.Call(ast.Name(function), arguments, keywords):
            return call(function, arguments, keywords)
        case ast.Dict(keys, values):
            return table([(str(ast.literal_eval(key)), value) for key, value in zip(keys, values, strict=True) if key])
        case ast.Attribute() | ast.Name():
            return ast.unparse(node)
        case ast.Constant(str() | int() | float() as value):
            return f'"{value}"' if isinstance(value, str) else f"{value:g}"
    raise AssertionError(f"no Lua for {ast.unparse(node)!r}")


def call(function: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
    if function == "Change":
        return table([(str(keyword.arg), keyword.value) for keyword in keywords])
    if function == "when":
        condition, a, b = arguments
        # No column holds nil or false, so `and` and `or` choose like `when`.
        return f"({operand(condition, AND)} and {operand(a, AND)} or {to_lua(b)})"
    return f"{function.lstrip('_')}({', '.join(parameters(arguments))})"


def parameters(nodes: list[ast.expr]) -> list[str]:
    """Rules take `when` and `append` as parameters; in Lua, `when` is an expression, and every rule sees `append`."""
    return [to_lua(node) for node in nodes if ast.unparse(node) not in ("when", "append")]


def function_in_lua(name: str) -> str:
    rule = RULES[name]
    names = [ast.Name(argument.arg) for argument in rule.args.args]
    lines = [f"local function {name.lstrip('_')}({', '.join(parameters([*names]))})"]
    for statement in rule.body:
        match statement:
            case ast.Assign([ast.Name(local)], value):
                lines.append(f"local {local} = {to_lua(value)}")
            case ast.Return(ast.expr() as value):
                lines.append(f"return {to_lua(value)}")
            case _:
                assert isinstance(statement, ast.Expr), f"no Lua for {ast.unparse(statement)!r}"
    return " ".join([*lines, "end"])


def flattened(lua: str) -> str:
    """Return a text on one line, without comments and trailing commas."""
    line = " ".join(re.sub(r"--[^\n]*", "", lua).split())
    return re.sub(r",? ?([})])", r"\1", re.sub(r"([{(]) ", r"\1", line))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_lua_operation_is_the_translation_of_its_rule(name: str) -> None:
    assert flattened(source(name)) == function_in_lua(name)


def test_every_text_parameter_is_a_parameter_of_a_rule() -> None:
    names = {name for operation in OPERATIONS.values() for name in operation.parameters}
    assert names > TEXT_PARAMETERS


@pytest.mark.parametrize("name", HELPERS)
def test_each_lua_helper_is_the_translation_of_the_python_helper(name: str) -> None:
    assert function_in_lua(name) in flattened(source("_rules"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_script_holds_the_helpers_that_its_rule_uses_and_no_others(name: str) -> None:
    helpers = {found.lstrip("_") for found in HELPERS} | {"append"}
    used = {helper for helper in helpers if f"{helper}(" in source(name)}
    held = {helper for helper in helpers if f"local function {helper}(" in script(name).text.decode()}
    assert held == used
