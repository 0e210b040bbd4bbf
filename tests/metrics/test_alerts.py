"""The example alerts ask for what is really exported and name what they are about."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.metrics.exported import exported, labels_of
from tests.metrics.processes import ROOT

FILE = yaml.safe_load((ROOT / "dashboards" / "alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in FILE["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_what_exists_and_says_what_it_is_about(rule: dict[str, Any]) -> None:
    labels = labels_of(rule["expr"], exported())
    summary = rule["annotations"]["summary"]
    assert set(re.findall(r"\$labels\.(\w+)", summary)) == labels - {"job"}
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert re.fullmatch(r"\d+m", rule.get("for", "0m"))


def test_each_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) > 0
