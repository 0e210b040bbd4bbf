"""Counts how many of eight processes are admitted when the open time ends."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.integrations.prober import guarded

PROCESSES = 8


@contextmanager
def prober(kind: str, url: str, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.integrations.prober", kind, url, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def trip(kind: str, url: str, name: str) -> None:
    def fail() -> None:
        raise OSError("down")

    with guarded(kind, url, name) as make_call, pytest.raises(Exception, match=r"down|Failures threshold reached"):
        make_call(fail)


def admitted(kind: str, url: str) -> tuple[int, int]:
    """Return how many of the processes were admitted, and how many after the probe had succeeded."""
    name = uuid.uuid4().hex
    trip(kind, url, name)
    with ExitStack() as stack:
        processes = [stack.enter_context(prober(kind, url, name)) for _ in range(PROCESSES)]
        assert [answer(process) for process in processes] == ["ready"] * PROCESSES
        for process in processes:
            go_on(process)
        outcomes = [answer(process) for process in processes]
        assert set(outcomes) <= {"admitted", "refused"}
        for process, outcome in zip(processes, outcomes, strict=True):
            if outcome == "admitted":
                go_on(process)
                process.wait()
        closed: list[str] = []
        with guarded(kind, url, name) as make_call:
            make_call(lambda: closed.append("admitted"))
    return outcomes.count("admitted"), len(closed)


@pytest.mark.parametrize("kind", ["pybreaker", "circuitbreaker"])
def test_one_of_eight_processes_probes_on_postgresql(kind: str, migrated_postgres_url: str) -> None:
    assert admitted(kind, migrated_postgres_url) == (1, 1)


def test_eight_of_eight_processes_probe_with_pybreaker_s_redis_storage(redis_url: str) -> None:
    """The contrast shows that the shared storage limits the number of probes."""
    assert admitted("pybreaker-redis", redis_url) == (PROCESSES, 1)
