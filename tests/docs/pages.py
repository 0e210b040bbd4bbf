"""Functions that read the code blocks, links and tables of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]

DATABASE = "postgresql+psycopg://app@db/app"
"""The database of the reader."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_NAME = re.compile(r"`(\w+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def text(page: str) -> str:
    """Return a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks in one language, in order."""
    return [code for found, code in _BLOCK.findall(text(page)) if found == language]


def program(page: str) -> str:
    """Return the Python blocks of a page as one program with the line numbers of the page."""
    lines: list[str] = []
    for block in _BLOCK.finditer(text(page)):
        if block[1] == "python":
            before = text(page).count("\n", 0, block.start(2))
            lines += [""] * (before - len(lines)) + block[2].splitlines()
    return "\n".join(lines)


def links(page: str) -> list[tuple[str, str]]:
    """Return the links within the repository: a path relative to the page (empty: the page itself), and an anchor."""
    prose = _BLOCK.sub("", text(page))
    return _LINK.findall(prose)


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = _BLOCK.sub("", text(page))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose))
    return {heading.replace(" ", "-") for heading in plain}


def rows(page: str) -> list[list[set[str]]]:
    """Return, for each table row of a page, the names in code style of each cell."""
    lines = (line for line in text(page).splitlines() if line.startswith("|"))
    return [[set(_NAME.findall(cell)) for cell in line.strip("|").split("|")] for line in lines]
