"""Tests that the lists of docs/metrics.md are complete."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from cbstore_sql.metrics.logs import EVENT_LEVELS
from tests.docs.pages import blocks, text
from tests.metrics.exported import exported
from tests.metrics.processes import python
from tests.metrics.test_alerts import RULES
from tests.metrics.test_logs import EVENTS

PAGE = "docs/metrics.md"
LINES = [line.replace("`", "").strip("|").split("|") for line in text(PAGE).splitlines() if line.startswith("|")]
CELLS = {first.strip(): [cell.strip() for cell in others] for first, *others in LINES}


def test_every_series_is_listed_with_its_labels() -> None:
    tables = {name: cells for name, cells in CELLS.items() if name.startswith("cb_") and name != "cb_event"}
    listed = {name: set(re.findall(r"\w+", cells[0])) for name, cells in tables.items()}
    series = {
        re.sub(r"_(bucket|created|sum)$|(?<=seconds)_count$", "", name): set(labels) - {"le"}
        for name, labels in exported().items()
        if not name.endswith("_created")
    }
    assert listed == series


def test_every_alert_is_listed() -> None:
    assert {name for name in CELLS if name.startswith("CircuitBreaker")} == {rule["alert"] for rule in RULES}


def test_every_event_is_listed_with_its_level() -> None:
    levels = {
        event: cells[0]
        for names, cells in CELLS.items()
        for event in names.split(", ")
        if cells[0] in {"DEBUG", "INFO", "WARNING"}
    }
    assert levels == {kind: logging.getLevelName(EVENT_LEVELS[type(event)]) for kind, event in EVENTS.items()}


def test_the_log_line_on_the_page_is_the_line_that_the_example_writes(tmp_path: Path) -> None:
    (example,) = [example for example in blocks(PAGE, "python") if "log_events" in example]
    (shown,) = blocks(PAGE, "json")
    written = python(example.replace("StreamHandler()", "StreamHandler(__import__('sys').stdout)"), cwd=tmp_path)
    assert json.loads(written) == json.loads(shown)
