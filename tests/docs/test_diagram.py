"""Tests that the diagram of the state machine matches the rules."""

from __future__ import annotations

from importlib import util

from tests.docs.pages import ROOT


def test_the_diagram_matches_the_rules() -> None:
    spec = util.spec_from_file_location("diagram", ROOT / "docs" / "_site" / "diagram.py")
    assert spec is not None
    assert spec.loader is not None
    diagram = util.module_from_spec(spec)
    spec.loader.exec_module(diagram)
    found = diagram.arrows()
    assert found["closed", "open"] == ["force_open", "record_failure"]
    assert found["open", "half_open"] == ["claim_probe"]
    assert diagram.TARGET.read_text(encoding="utf-8") == diagram.draw(found), "run: python docs/_site/diagram.py"
