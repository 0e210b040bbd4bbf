"""Tests of examples/load_config.py. docs/configuration.md shows its error messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cbstore_sql import BreakerPolicy, ConfigurationError
from examples.load_config import load_policies
from tests.docs.pages import ROOT


def test_the_example_program_prints_the_policies_of_the_file() -> None:
    run = [sys.executable, str(ROOT / "examples" / "load_config.py"), str(ROOT / "examples" / "config.yaml")]
    done = subprocess.run(run, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["(default)", "payments", "search", "reports"]


@pytest.mark.parametrize("text", ["", "breakers:", "breakers: {defaults: , names: }"])
def test_an_empty_file_gives_the_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    policies = load_policies(path)
    assert policies.default == BreakerPolicy()
    assert policies.by_name == {}


@pytest.mark.parametrize("text", ["[]", "broken: {}", "breakers: {named: {}}", "breakers: {names: {1: {}}}", "\t", "{"])
def test_a_file_with_another_structure_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        load_policies(path)
