"""Mechanical rules for the English of docstrings, comments, messages and pages."""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, ROOT, text
from tests.test_public import MADE_BY_A_BREAKER, public_objects

PACKAGE = ROOT / "cbstore_sql"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Expressions that readers stumbled over, with what to write instead.
IDIOMS = {
    r"\b(?:is|are|be|was|were) none\b": "say what is wrong: 'is missing', 'is not a …'",
    r"\bnobody\b": "'no caller', 'no process', 'not … by anyone'",
    r"\bsomebody\b": "'another caller', 'a user', 'someone'",
    r"\banew\b": "'again'",
    r"\bof (?:its|their|his) own\b": "'its own …', 'a separate …'",
    r"\bbe had\b": "'is available', 'is unavailable'",
    r"\b(?:becomes?|became) of\b": "'happens to', 'happened to'",
    r"(?<!there )\b(?:is|are) no (?!longer\b|more\b)\w+": "'is not a …'",
}

# Parameters whose docstring must give a unit.
TIMES = re.compile(r"^(?:seconds|.*_(?:timeout|interval|seconds|staleness|lease|ttl|after))$")
UNIT = re.compile(r"\bNot used\b|\bseconds?\b|\bfor ever\b|\bSee `|\bsee `|\bAs ``", re.IGNORECASE)

REFERENCE = re.compile(r"\b[Ss]ee `|\bAs `|, awaited|The arguments are those of|; `[\w.]+`$|^See ")


def comments(path: Path) -> Iterator[tuple[int, str]]:
    with tokenize.open(path) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings, messages and comments of a module, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    yield from comments(path)


def idioms(line: str) -> Iterator[str]:
    for pattern, instead in IDIOMS.items():
        flags = 0 if "none" in pattern else re.IGNORECASE
        for found in re.finditer(pattern, line, flags):
            yield f"{found[0]!r}: write {instead}"


def prose(page: str) -> str:
    """Return a page without its code blocks and without the tables that commands write."""
    page = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!-- \w+: written by.*?(?:<!-- end|\Z)", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_of_a_module_uses_a_banned_idiom(path: Path) -> None:
    found = [f"{path.name}:{line}: {idiom}" for line, words in texts(path) for idiom in idioms(words)]
    assert found == []


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_no_page_uses_a_banned_idiom(page: str) -> None:
    assert list(idioms(prose(page))) == []


def own_methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods that are documented by the library."""
    for name, value in inspect.getmembers(kind):
        function = inspect.unwrap(value) if inspect.isfunction(value) else getattr(value, "__func__", None)
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("cbstore_sql"):
            yield f"{kind.__name__}.{name}", function


def documented() -> dict[str, tuple[Any, str]]:
    """Return the public functions, methods and constructors with their signature's owner and docstring."""
    found: dict[str, tuple[Any, str]] = {}
    for name, value in public_objects().items():
        if inspect.isfunction(value):
            found[name] = value, inspect.getdoc(value) or ""
        elif inspect.isclass(value):
            for method, function in own_methods(value):
                found[method] = function, inspect.getdoc(function) or ""
            if not issubclass(value, (Exception, Enum)) and value not in MADE_BY_A_BREAKER:
                found[value.__name__] = value, "\n".join(inspect.getdoc(kind) or "" for kind in value.__mro__[:-1])
    return found


DOCUMENTED = documented()


def parameters(value: Any) -> list[str]:
    try:
        names = list(inspect.signature(value).parameters)
    except ValueError:
        return []
    return [name for name in names if name not in {"self", "cls", "args", "kwargs"}]


def description(doc: str, name: str) -> str | None:
    """Return what a docstring says about one argument, or ``None``."""
    found = re.search(rf"^    \**{name}(?: \([^)]*\))?: (.*?)(?=^    \S|^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    return found[1] if found else None


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_a_public_function_with_several_parameters_describes_them(name: str) -> None:
    value, doc = DOCUMENTED[name]
    assert doc, "a public name needs a docstring"
    assert len(parameters(value)) < 2 or re.search(r"^(?:Args|Attributes):", doc, re.MULTILINE) or REFERENCE.search(doc)


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_a_time_has_a_unit(name: str) -> None:
    value, doc = DOCUMENTED[name]
    described = {parameter: description(doc, parameter) for parameter in parameters(value) if TIMES.match(parameter)}
    assert [parameter for parameter, words in described.items() if words is not None and not UNIT.search(words)] == []
