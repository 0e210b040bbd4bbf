"""Tests that the command distinguishes detected mutants from survivors."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.system.mutation.equivalent import EQUIVALENT
from tests.system.mutation.mutants import tried
from tests.system.mutation.running import ROOT

# The command needs a separate process, because it forks the processes that try mutants.
TRY_TWO = """
import sys
from tests.system.mutation.__main__ import report
from tests.system.mutation.mutant import Mutant
from tests.system.mutation.running import ROOT

path = "cbstore_sql/deadline.py"
sound = (ROOT / path).read_text(encoding="utf-8")
tests = (("tests/test_deadline.py", "-k", "no_deadline_unless"), ("tests/test_deadline.py",))
sys.exit(report([
    Mutant("no deadline holds", path, lambda: sound.replace("_deadline.get()", "None"), tests),
    Mutant("nothing is broken", path, lambda: sound, tests),
], excluded=0))
"""


def test_the_command_reports_a_mutant_that_no_test_detects() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRY_TWO],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "noticed   no deadline holds" in done.stdout
    assert "SURVIVED  nothing is broken" in done.stdout
    assert "2 mutants: 1 noticed, 0 excluded, 1 survived" in done.stdout


def test_the_lists_of_mutants_match_the_code() -> None:
    """Every text to replace exists, and every excluded name is the name of a mutant."""
    mutants, excluded = tried(ROOT, "")
    assert excluded == len(EQUIVALENT)
    assert len({mutant.name for mutant in mutants}) == len(mutants)
