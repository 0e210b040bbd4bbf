"""What the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

_TEXT = (Path(__file__).parents[2] / "docs/migrations.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", _TEXT, re.MULTILINE | re.DOTALL)
