"""The conformance tests accept a correct store and find mistakes in others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
from cbstore_sql import SqlStore

def open_store(namespace):
    return SqlStore({url!r}, namespace=namespace)
"""

BROKEN = """
import time

from cbstore_sql import SqlStore

class Broken(SqlStore):
    def _apply(self, command):
        {mistake}

def open_store(namespace):
    return Broken({url!r}, namespace=namespace)
"""

MISTAKES = {
    # A claim that ignores the current probe, a report that ignores the fence, and a lost count.
    "two owners": """
        if command.operation == "claim_probe":
            opened = {"now": 0.0, "seconds": 0.0, "label": ""}
            super()._apply(command._replace(operation="force_open", parameters=opened))
        return super()._apply(command)""",
    "no fence": """
        if command.operation in ("record_failure", "record_success"):
            command = command._replace(parameters={**command.parameters, "generation": -1, "token": ""})
        return super()._apply(command)""",
    "read, then write": """
        before = self._read(command.name, None)
        time.sleep(0.001)
        after = super()._apply(command)
        if command.operation == "record_failure" and after is not None and after.snapshot.state == "closed":
            self.set_state(command.name, {"failure_count": before.failure_count + 1})
        return after""",
}


def run(directory: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (directory / "mystore.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "cbstore_sql.testing.conformance", "mystore:open_store", "-q", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), *sys.path])}
    return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)


def test_a_store_that_keeps_the_contract_passes_with_processes(migrated_sqlite_url: str, tmp_path: Path) -> None:
    done = run(tmp_path, GOOD.format(url=migrated_sqlite_url), "--processes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_without_processes_the_tests_with_processes_are_skipped_with_a_reason(
    migrated_sqlite_url: str, tmp_path: Path
) -> None:
    done = run(tmp_path, GOOD.format(url=migrated_sqlite_url), "-k", "processes", "-rs")
    assert "3 skipped" in done.stdout
    assert "without --processes" in done.stdout


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_store_with_a_mistake_fails(mistake: str, migrated_sqlite_url: str, tmp_path: Path) -> None:
    code = BROKEN.format(url=migrated_sqlite_url, mistake=MISTAKES[mistake].strip())
    done = run(tmp_path, code, "-x")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout


def test_wrong_arguments_print_the_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cbstore_sql.testing.conformance", "mystore"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "MODULE:FUNCTION" in done.stderr


def test_the_error_for_a_missing_function_names_the_function(tmp_path: Path) -> None:
    done = run(tmp_path, "", "-x")
    assert "--store must be package.module:function" in done.stdout
