"""Tests that the lists of docs/llm.md are complete."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from cbstore_sql import LLMCircuitBreakerConfig
from cbstore_sql.llm import RateLimitAction

TEXT = (Path(__file__).parents[2] / "docs" / "llm.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_every_setting_is_listed_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", SECTIONS["Settings"], re.MULTILINE))
    assert listed == {field.name: str(field.default) for field in dataclasses.fields(LLMCircuitBreakerConfig)}


def test_the_page_lists_every_action() -> None:
    for action in RateLimitAction:
        assert f"({action.name})" in SECTIONS["What happens to a call"]
