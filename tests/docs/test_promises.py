"""docs/promises.md: each promise names an existing test."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT, text

_TEST = re.compile(r"\[`(test_\w+)`\]\(\.\./((?:tests|cbstore_sql)/[\w/]+\.py)\)")


def promised() -> list[tuple[str, str]]:
    return _TEST.findall(text("docs/promises.md"))


def test_every_test_named_by_a_promise_exists() -> None:
    assert len(promised()) > 30
    for name, path in promised():
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_every_promise_names_a_test() -> None:
    promises = text("docs/promises.md").split("## What is not promised")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| promise |")]
    assert [row for row in rows if not _TEST.search(row)] == []
