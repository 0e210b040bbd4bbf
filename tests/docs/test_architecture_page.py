"""Tests that docs/architecture.md names only existing files and all layers."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, text
from tests.test_architecture import LAYERS

PAGE = text("docs/architecture.md")
PATHS = sorted(set(re.findall(r"`([\w./]+(?:\.(?:py|lua|md|json|yml)|/))`", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_on_the_page_exists(path: str) -> None:
    assert (ROOT / "cbstore_sql" / path).exists() or (ROOT / path).exists()


def test_every_layer_is_on_the_page() -> None:
    (table,) = re.findall(r"## Layers\n(.*?)\n## ", PAGE, re.DOTALL)
    names = {name for layer in LAYERS for name in layer}
    assert {name for name in names if f"`{name}" not in table} <= {"__main__"}


def test_the_page_explains_at_least_fifteen_changes() -> None:
    (table,) = re.findall(r"## To change X, edit Y\n(.*?)\n## ", PAGE, re.DOTALL)
    assert len([line for line in table.splitlines() if line.startswith("|")]) - 2 >= 15


def test_every_function_that_the_page_names_exists() -> None:
    for path, function in re.findall(r"`([\w/]+\.py)`: `(\w+)`", PAGE):
        source = (ROOT / "cbstore_sql" / path).read_text(encoding="utf-8")
        assert re.search(rf"def {function}\(", source), f"{function} is not in {path}"
