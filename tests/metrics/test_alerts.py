"""The example alerts use existing series and name the breaker in their summary."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics.exported import exported, labels_of
from tests.metrics.processes import ROOT

FILE = yaml.safe_load((ROOT / "dashboards" / "alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in FILE["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_uses_existing_labels_and_its_summary_names_them(rule: dict[str, Any]) -> None:
    labels = labels_of(rule["expr"], exported())
    summary = rule["annotations"]["summary"]
    assert set(re.findall(r"\$labels\.(\w+)", summary)) == labels - {"job"}
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert re.fullmatch(r"\d+m", rule.get("for", "0m"))


def test_alert_names_are_unique() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) > 0


# Two breakers are open, one of them in shadow mode, and a third is locked open. Times are in minutes.
CASES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'cb_fleet_up', values: '1x60'}}
      - {{series: 'cb_fleet_state{{namespace="shop",name="open"}}', values: '2x60'}}
      - {{series: 'cb_fleet_state{{namespace="shop",name="shadow"}}', values: '2x60'}}
      - {{series: 'cb_fleet_override{{namespace="shop",name="open"}}', values: '0x60'}}
      - {{series: 'cb_fleet_override{{namespace="shop",name="shadow"}}', values: '1x60'}}
      - {{series: 'cb_fleet_override{{namespace="shop",name="locked"}}', values: '3x60'}}
    alert_rule_test:
      - eval_time: 15m
        alertname: CircuitBreakerNotClosed
        exp_alerts: [{{exp_labels: {{severity: critical, namespace: shop, name: open}}}}]
      - {{eval_time: 15m, alertname: CircuitBreakerLockedOpen, exp_alerts: []}}
      - eval_time: 31m
        alertname: CircuitBreakerLockedOpen
        exp_alerts: [{{exp_labels: {{severity: warning, namespace: shop, name: locked}}}}]
"""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_accepts_the_rules_and_fires_the_expected_alerts(tmp_path: Path) -> None:
    rules = ROOT / "dashboards" / "alerts.yml"
    subprocess.run(["promtool", "check", "rules", str(rules)], check=True, capture_output=True)
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in RULES]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "bare", "rules": bare}]}))
    (tmp_path / "cases.yml").write_text(CASES.format(rules="alerts.yml"))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "cases.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
