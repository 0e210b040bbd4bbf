"""Tests with clocks that jump: the clock of the server and the clock of an application."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cbstore_sql import BreakerPolicy, SqlStore, State
from tests.system.faults.postgres import Cluster, Postgres
from tests.system.faults.table import Observed, fault

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
POLICY = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0, probe_lease=60.0)

needs_libfaketime = pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")

Step = Callable[[float], None]

READER = """
import sys, time
from cbstore_sql import SqlStore
with SqlStore(sys.argv[1]) as store:
    seen = store.read("b")
    print(seen.state.value, seen.retry_after, store.claim_probe("b") is None, time.time())
"""


@pytest.fixture
def stepped(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[Postgres, Step]]:
    """A server, and a function that moves its clock by some seconds while it runs."""
    offset = cluster.directory / f"offset-{tmp_path.name}"

    def step(seconds: float) -> None:
        offset.write_text(f"{seconds:+.0f}s\n")

    step(0)
    with contextlib.ExitStack() as stack:
        server = cluster.server()
        server.start(
            environment={
                "LD_PRELOAD": str(LIBRARIES[0]),
                "FAKETIME_TIMESTAMP_FILE": str(offset),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        )
        stack.enter_context(server)
        yield server, step


@needs_libfaketime
@fault(14, "the server's clock jumps 100 s ahead under a lease of 60 s", "early expiry; the late report is rejected")
def test_a_clock_that_jumps_ahead_ends_waits_early_and_makes_the_owner_s_report_late(
    stepped: tuple[Postgres, Step], observed: Observed
) -> None:
    server, step = stepped
    with SqlStore(server.url) as store:
        store.record_failure("b", POLICY)
        assert store.claim_probe("b", POLICY) is None
        step(100)
        first = store.claim_probe("b", POLICY)
        assert first is not None, "the circuit is due early"
        step(200)
        second = store.claim_probe("b", POLICY)
        assert second is not None, "the lease runs out early"
        assert second.permit.generation > first.permit.generation
        assert store.record_success(first.permit, POLICY) is None, "the late report is rejected"
        assert store.record_success(second.permit, POLICY) is not None
        assert store.read("b").state is State.CLOSED
    observed("circuit and lease ended 60 s early; the first owner's report had no effect", calls=7, calls_lost=0)


@needs_libfaketime
@fault(
    14,
    "the server's clock jumps 1,000 s back under an open circuit and a lease",
    "both prolonged by the step; reset helps",
)
def test_a_clock_that_jumps_back_prolongs_waits_until_a_reset(
    stepped: tuple[Postgres, Step], observed: Observed
) -> None:
    server, step = stepped
    with SqlStore(server.url) as store:
        store.force_open("b", 0.0)
        owner = store.claim_probe("b", POLICY)
        assert owner is not None
        step(-1000)
        assert 1000.0 < store.read("b").retry_after < 1100.0
        assert store.claim_probe("b", POLICY) is None
        assert store.renew_probe(owner.permit, POLICY) is not None, "the owner goes on"
        store.reset("b")
        assert store.record_success(owner.permit, POLICY) is None
        assert store.read("b").state is State.CLOSED
        opened = store.record_failure("b", POLICY)
        assert opened is not None
        assert 50.0 < opened.snapshot.retry_after < 60.1, "by the new clock"
    observed("the wait grew by the 1,000 s of the step; reset ended it", calls=8, calls_lost=0)


@needs_libfaketime
@fault(15, "one process's clock is an hour behind", "no difference")
def test_a_process_with_a_wrong_clock_sees_the_same_state_as_the_others(server: Postgres, observed: Observed) -> None:
    with SqlStore(server.url) as store:
        store.force_open("b", 60.0)
        told = subprocess.run(
            [sys.executable, "-c", READER, server.url],
            env={**os.environ, "LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": "-1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        left = store.read("b").retry_after
    assert 3500.0 < time.time() - float(told[3]) < 3700.0, "its clock is wrong"
    assert told[0] == "open"
    assert left <= float(told[1]) <= 60.0
    assert told[2] == "True", "it claims nothing early"
    observed(f"it saw {float(told[1]):.1f} s left of 60 s and claimed nothing", calls=2, calls_lost=0)
