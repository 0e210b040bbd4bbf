"""A server that stops, crashes or freezes under guarded calls, and comes back."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.callers import COLOURS, Callers, Colour, calling
from tests.faults.postgres import Postgres, StopMode
from tests.faults.table import Observed, fault

SESSION = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1"
COUNTED = "SELECT failure_count FROM cbstore.breakers WHERE name = 'fails'"


def account(server: Postgres, callers: Callers, observed: Observed, seen: str, recovered: float | None) -> None:
    """Compare what the callers saw with what the store holds; nothing may be lost but what was in flight."""
    counted = server.ask(COUNTED)
    observed(
        f"{seen}; slowest call {callers.slowest * 1000:.0f} ms",
        recovered=recovered,
        calls=callers.calls,
        calls_lost=callers.calls_lost,
        answers_lost=callers.answers_lost,
        counts_lost=max(0, callers.failures - counted),
        counts_doubled=max(0, counted - callers.failures),
    )
    assert (callers.calls_lost, callers.answers_lost) == (0, 0), callers.others
    assert counted <= callers.failures, "a failure was counted twice"


@pytest.mark.parametrize("colour", COLOURS)
@fault(3, "kill -9 of one backend under load: the server drops every session and recovers", "no call is lost")
def test_no_call_is_lost_when_a_backend_is_killed(server: Postgres, colour: Colour, observed: Observed) -> None:
    with calling(server.url, colour) as callers:
        os.kill(server.ask(SESSION), signal.SIGKILL)
        ended = time.monotonic()
        callers.make_more(200)
        recovered = callers.recovery_since(ended)
        callers.make_more()
    account(server, callers, observed, "crash recovery of the server", recovered)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("mode", ["fast", "immediate"])
@fault(4, "pg_ctl stop under load, down for 100 calls, started again", "no call is lost; used again by itself")
def test_no_call_is_lost_when_the_server_is_stopped_and_started(
    server: Postgres, mode: StopMode, colour: Colour, observed: Observed
) -> None:
    with calling(server.url, colour) as callers:
        server.stop(mode)
        callers.await_degraded()
        callers.make_more(100)
        server.start()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(server, callers, observed, f"stopped ({mode})", recovered)
