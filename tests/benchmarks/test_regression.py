"""The check of the hot paths: it measures each of them, and a path that became twice as slow fails."""

from __future__ import annotations

import json
from array import array

from benchmarks import regression
from benchmarks.guards import event_loop
from benchmarks.regression import HotPath, judge, twice
from benchmarks.servers import Servers

KEPT = {"breaker: healthy call": 0.4, "store: read": 1.3}


def test_paths_as_fast_as_before_are_accepted() -> None:
    assert judge({"breaker: healthy call": 0.5, "store: read": 1.3}, KEPT)[1]


def test_a_path_that_became_twice_as_slow_fails_and_is_named() -> None:
    table, within = judge({"breaker: healthy call": 0.4, "store: read": 2.6}, KEPT)
    assert not within
    assert [row[0] for row in table.rows if row[-1] == "SLOWER"] == ["store: read"]


def test_a_path_without_a_stored_ratio_and_a_path_without_a_measurement_fail() -> None:
    assert not judge({**KEPT, "store: new": 1.0}, KEPT)[1]
    assert not judge({"store: read": 1.3}, KEPT)[1]


def test_a_doubled_turn_is_measured_as_twice_its_ratio() -> None:
    def turn(calls: int, seconds: float) -> array[int]:
        return array("q", [1000] * calls)

    assert regression.measure(HotPath(turn, turn), rounds=1) == 1.0
    assert regression.measure(HotPath(twice(turn), turn), rounds=1) == 2.0


def test_the_stored_ratios_belong_to_the_paths_and_each_path_runs(servers: Servers) -> None:
    kept = json.loads(regression.KEPT.read_text(encoding="utf-8"))
    with event_loop() as loop, regression.hot_paths(servers, loop) as paths:
        assert set(kept) == set(paths)
        for path in paths.values():
            assert len(path.path(2, 1.0)) == 2
            assert len(path.reference(2, 1.0)) == 2
