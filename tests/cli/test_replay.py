"""``cbstore replay`` on logs that `CallLog` writes, and on others."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cbstore_sql import Verdict
from cbstore_sql.cli import main
from cbstore_sql.events import CallFinished
from cbstore_sql.metrics import CallLog
from tests.replay.logs import calls


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file that a call log writes in half an hour with one outage of the dependency."""
    path = tmp_path / "calls.jsonl"
    moment = 0.0
    writer = CallLog(path, clock=lambda: moment)
    for call in calls((8000, 0.01), (600, 1.0), (8000, 0.01)):
        moment = call.ended
        writer(CallFinished("billing", call.verdict, call.seconds))
    writer.close()
    return path


def replay(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["replay", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def described(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(replay(capsys, "--json", *arguments))
    return found


def test_the_command_prints_the_result_of_each_policy_and_recommends_one(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = replay(capsys, str(log)).splitlines()
    assert told[0] == "16600 calls of 1 processes in 1660 s; 1 outages"
    assert told[1] == "  59.9 s from 1800.000: 600 of 600 calls failed"
    assert told[4].split("  ")[0] == "policy"
    rows = {line.split("  ")[0]: line.split()[-2:] for line in told[5:-2]}
    assert rows["failure_threshold=5"] == ["of", "1"]
    assert told[-1].startswith("recommended: BreakerPolicy(")
    assert told[-1].endswith("recovery_timeout=30)")


def test_the_json_output_contains_every_result(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = described(capsys, str(log), "--recovery-timeout", "5")
    assert (found["calls"], found["processes"], len(found["outages"])) == (16_600, 1, 1)
    by_policy = {row["policy"]: row for row in found["policies"]}
    row = by_policy["failure_threshold=5"]
    assert (row["false_alarms"], row["missed"], row["detections"][0]["failed_calls"]) == (0, 0, 5)
    assert row["calls_lost"] == row["failed"] + row["refused_good"]
    assert found["recommended"]["policy"]["recovery_timeout"] == 5.0
    assert found["recommended"]["write"].startswith("BreakerPolicy(")


def test_a_log_of_many_processes_is_also_replayed_with_separate_breakers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fleet.jsonl"
    made = calls((800, 0.0), (800, 1.0), (800, 0.0), processes=40)
    path.write_text(
        "".join(
            json.dumps({"time": c.ended, "outcome": c.verdict.value, "seconds": c.seconds, "process": c.process}) + "\n"
            for c in made
        )
    )
    found = described(capsys, str(path))
    assert found["processes"] == 40
    alone, together = found["each_process_alone"], found["policies"][0]
    assert alone["failed"] > 10 * together["failed"]
    assert "each process alone" in replay(capsys, str(path))


def test_the_log_is_read_from_stdin(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(log.read_text()))
    assert described(capsys, "-")["calls"] == 16_600


def test_slow_calls_count_as_failed_with_slow_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "slow.jsonl"
    line = {"outcome": "success", "seconds": 3.0}
    path.write_text("".join(json.dumps({"time": 100.0 + n, **line}) + "\n" for n in range(50)))
    assert described(capsys, str(path))["outages"] == []
    found = described(capsys, str(path), "--slow-after", "2")
    assert len(found["outages"]) == 1
    assert found["recommended"]["policy"]["slow_after"] == 2.0
    assert "slow_after=2" in found["recommended"]["write"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"{}\n", "line 1 of the log: outcome must be"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"", "the log holds no calls"),
    ],
)
def test_an_unusable_log_is_reported_in_one_line_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    told = replay(capsys, str(path), code=2)
    assert message in told
    assert told.count("\n") == 1


def test_a_time_out_of_range_is_refused(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "slow_after must be" in replay(capsys, str(log), "--slow-after", "-1", code=2)


def test_the_option_name_selects_the_calls_of_one_breaker(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert described(capsys, str(log), "--name", "billing")["calls"] == 16_600
    assert "no calls of the breaker 'search'" in replay(capsys, str(log), "--name", "search", code=2)


def test_a_call_log_writes_verdicts_that_the_replay_can_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = CallLog(path, clock=lambda: 5.0)
    for verdict in Verdict:
        writer(CallFinished("b", verdict, 0.25))
    writer.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["success", "failure", "none"]
    assert {(line["time"], line["name"], line["seconds"]) for line in lines} == {(5.0, "b", 0.25)}
