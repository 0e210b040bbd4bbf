"""The Grafana dashboard uses only existing series."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from tests.metrics.exported import exported, labels_of
from tests.metrics.processes import ROOT

DASHBOARD = json.loads((ROOT / "dashboards" / "circuit_breakers.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
TARGETS = [(panel, target) for panel in PANELS for target in panel.get("targets", ())]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}

# The variables that Grafana sets, as values that PromQL can parse.
BUILT_IN = {"__range": "3h", "__rate_interval": "1m"}
SUFFIX = re.compile(r"_(bucket|sum|created)$|(?<=seconds)_count$")
VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def query(text: str) -> str:
    """Return the query that Grafana sends."""
    return VARIABLE.sub(lambda found: BUILT_IN.get(found[1], "anything"), text)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


@pytest.mark.parametrize(("panel", "target"), TARGETS, ids=lambda part: str(part.get("title") or part.get("refId")))
def test_a_query_uses_existing_series_and_labels(panel: dict[str, Any], target: dict[str, Any]) -> None:
    labels = labels_of(query(target["expr"]), exported())
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
    if panel["type"] not in {"table", "stat"}:
        assert labels == set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), "lines that look the same"


@pytest.mark.parametrize("series", sorted({SUFFIX.sub("", name) for name in exported()}))
def test_every_series_is_shown_somewhere(series: str) -> None:
    asked = {name for _, target in TARGETS for name in re.findall(r"cb_\w+", target["expr"])}
    # cb_current_state shows the last state that one process saw. The panels show the state in the table instead.
    assert {series, f"{series}_total", f"{series}_bucket"} & (asked | {"cb_current_state"})


def test_the_variables_use_existing_series_and_labels() -> None:
    for variable in VARIABLES.values():
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found
            assert found[2] in labels_of(query(found[1]), exported())


def test_every_variable_exists_and_is_used() -> None:
    used = {name for text in texts(DASHBOARD) for name in VARIABLE.findall(text)}
    assert used - {"__all"} == {*VARIABLES, *BUILT_IN}


def test_every_query_goes_to_the_chosen_data_source() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(part["datasource"] == chosen for pair in TARGETS for part in pair)


def test_panel_ids_and_target_letters_are_unique() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)


def test_panels_are_on_the_grid_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_the_table_renames_and_formats_only_its_existing_columns() -> None:
    (table,) = [panel for panel in PANELS if panel["type"] == "table"]
    renamed = table["transformations"][-1]["options"]["renameByName"]
    assert set(renamed) == {"namespace", "name", *(f"Value #{target['refId']}" for target in table["targets"])}
    assert {override["matcher"]["options"] for override in table["fieldConfig"]["overrides"]} <= set(renamed.values())
