from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.migrations.documentation import blocks

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("example", blocks("python"), ids=["engine", "usual names", "other names"])
def test_an_example_runs(example: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", example]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
