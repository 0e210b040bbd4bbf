"""Type checkers accept the types of all public names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cbstore_sql
from tests.docs.pages import ROOT

USAGE = Path(__file__).with_name("usage.py")
MYPY = ("mypy", "--strict")
PYRIGHT = ("pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("checker", [MYPY, PYRIGHT], ids=["mypy", "pyright"])
def test_the_type_checker_accepts_the_example_usage(checker: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", *checker, str(USAGE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_usage_contains_every_public_name() -> None:
    names = {node.id for node in ast.walk(ast.parse(USAGE.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    assert set(cbstore_sql.__all__) - names == set()
