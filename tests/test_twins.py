"""Synchronous and asynchronous classes have the same methods with the same parameters."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Any

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncRedisStore,
    AsyncSqlStore,
    AsyncStore,
    CircuitBreaker,
    CircuitBreakerStore,
    RedisStore,
    SqlStore,
    Store,
)
from cbstore_sql.runtime import sansio

TWINS = [
    pytest.param(Store, AsyncStore, id="Store"),
    pytest.param(CircuitBreaker, AsyncCircuitBreaker, id="CircuitBreaker"),
    pytest.param(SqlStore, AsyncSqlStore, id="SqlStore"),
    pytest.param(RedisStore, AsyncRedisStore, id="RedisStore"),
]

DUNDERS = {"__init__", "__call__", "__enter__", "__exit__", "__repr__"}

# The dictionary protocol is a synchronous one.
PROTOCOL_METHODS = {name for name in vars(CircuitBreakerStore) if not name.startswith("_")}
PROTOCOL_PARAMETERS = {"protocol_probe_lease"}


def plain(text: str) -> str:
    """Return a name or an annotation without the words for asynchronous code."""
    text = re.sub(r"\b(?:Awaitable\[|Coroutine\[Any, Any, )(\w+)\]", r"\1", text)
    return re.sub(r"__a(enter|exit)__", r"__\1__", re.sub(r"Async(?=[A-Z])|_async\b", "", text))


def methods(kind: type) -> dict[str, Any]:
    """Return the public methods by their plain names."""
    found = {plain(name): method for name, method in inspect.getmembers(kind, callable)}
    public = {name for name in found if not name.startswith("_")} - PROTOCOL_METHODS
    return {name: found[name] for name in sorted(public | (DUNDERS & set(found)))}


def parameters(method: Any) -> list[tuple[Any, ...]]:
    """Return the names, kinds, defaults and types of the parameters, and the type of the result."""
    signature = inspect.signature(method)
    taken = [
        (parameter.name, parameter.kind, parameter.default, types(parameter.annotation))
        for parameter in signature.parameters.values()
        if parameter.name not in PROTOCOL_PARAMETERS
    ]
    return [*taken, types(signature.return_annotation)]


def types(annotation: Any) -> tuple[str, ...]:
    """Return the types of a union, each once, because an asynchronous breaker accepts both kinds of store."""
    return tuple(dict.fromkeys(plain(str(annotation)).split(" | ")))


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_sync_and_async_classes_have_the_same_methods(one: type, other: type) -> None:
    assert list(methods(one)) == list(methods(other))


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_sync_and_async_methods_have_the_same_parameters(one: type, other: type) -> None:
    others = methods(other)
    for name, method in methods(one).items():
        assert parameters(method) == parameters(others[name]), name


def is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def uncoloured(code: Any) -> list[str]:
    """Return the lines of a class or function without docstrings, comments and asynchronous keywords."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [statement for statement in node.body if not is_docstring(statement)] or [ast.Pass()]
    text = re.sub(r"\b(?:async|await) ", "", plain(ast.unparse(tree)))
    return ast.unparse(ast.parse(text)).splitlines()


def lines(code: Any) -> list[str]:
    """The uncoloured lines of a function; of a class, those of all its own and inherited methods."""
    if not inspect.isclass(code):
        return uncoloured(code)
    found = {plain(name): method for name, method in inspect.getmembers(code, inspect.isfunction)}
    return [line for name in sorted(found) for line in uncoloured(found[name])]


@pytest.mark.parametrize(("one", "other"), [(Store, AsyncStore), (sansio.run, sansio.run_async)])
def test_sync_and_async_classes_written_twice_are_the_same_line_by_line(one: Any, other: Any) -> None:
    assert lines(one) == lines(other)
