"""Mutants of the Lua files: one operator or one step at a time, by text replacement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.system.mutation.mutant import Mutant
from tests.system.mutation.selections import HASHES, MIRROR, REDIS

# Every other file is compared with its rule word for word.
_WITHOUT_RULE = ("_answer.lua", "_hash.lua", "read.lua")

_SIGNS = ((">=", ">"), ("<=", "<"), ("==", "~="), ("~=", "=="), (" > ", " >= "), (" < ", " <= "))
_WORDS = ((" and ", " or "), (" or ", " and "), (" + 1", " + 2"), ("math.ceil", "math.floor"))
_STEP = re.compile(r"^ +(?:(?:row|found|values|changes)[.\[].* = |redis\.call|given\.now = ).*$", re.MULTILINE)


def mutants(root: Path) -> Iterator[Mutant]:
    """Make the mutants of every file."""
    for path in sorted((root / "cbstore_sql/stores/redis/lua").glob("*.lua")):
        text = path.read_text(encoding="utf-8")
        tests = (HASHES, REDIS) if path.name in _WITHOUT_RULE else (MIRROR,)
        for start, end, other in [*_signs(text), *_steps(text, path.name)]:
            line = text[: start + 1].rpartition("\n")[2] + text[start + 1 :].partition("\n")[0]
            if line.lstrip().startswith("--"):
                continue
            name = f"{path.name} {line.strip()}: {text[start:end].strip()} becomes {other.strip() or 'nothing'}"
            yield Mutant(name, str(path.relative_to(root)), partial(_replaced, text, start, end, other), tests)


def _replaced(text: str, start: int, end: int, other: str) -> str:
    return text[:start] + other + text[end:]


def _signs(text: str) -> Iterator[tuple[int, int, str]]:
    for old, new in (*_SIGNS, *_WORDS):
        for found in re.finditer(re.escape(old), text):
            yield *found.span(), new


def _steps(text: str, name: str) -> Iterator[tuple[int, int, str]]:
    """Leave out steps of the shared Lua file. The other files are compared with their rules."""
    if name in _WITHOUT_RULE:
        for found in _STEP.finditer(text):
            yield *found.span(), ""
