"""Tests of the log of guarded calls in a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cbstore_sql import CircuitBreaker, InMemoryStore
from cbstore_sql.metrics import CallLog
from cbstore_sql.replay.log import parse_log


def test_a_breaker_writes_one_line_for_each_call(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    breaker = CircuitBreaker(InMemoryStore(), listeners=[log])
    breaker.call("billing", str)
    with pytest.raises(ZeroDivisionError):
        breaker.call("billing", lambda: 1 / 0)
    breaker.reset("billing")
    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["success", "failure"]
    assert [call.verdict.value for call in parse_log(lines, name="billing")] == ["success", "failure"]


def test_a_forked_child_writes_its_own_process_name(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    breaker = CircuitBreaker(InMemoryStore(), listeners=[CallLog(path)])
    breaker.call("b", str)
    child = os.fork()
    if child == 0:
        try:
            breaker.call("b", str)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    breaker.call("b", str)
    processes = [json.loads(line)["process"] for line in path.read_text().splitlines()]
    assert processes[0] == processes[2] != processes[1]
    assert processes[1].endswith(f"/{child}")


def test_a_closed_log_opens_again_and_appends(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    breaker = CircuitBreaker(InMemoryStore(), listeners=[log])
    breaker.call("b", str)
    log.close()
    log.close()
    breaker.call("b", str)
    assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 2


def test_an_error_in_writing_the_file_does_not_reach_the_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = CircuitBreaker(InMemoryStore(), listeners=[CallLog(tmp_path / "missing" / "calls.jsonl")])
    assert breaker.call("b", lambda: 7) == 7
    assert "FileNotFoundError" in caplog.text
