"""Tests of guarded calls while the server stops, crashes or freezes, and after it works again."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.system.faults.attempts import ended_at_last
from tests.system.faults.callers import COLOURS, Colour, account, calling
from tests.system.faults.postgres import Postgres, StopMode
from tests.system.faults.table import Observed, fault
from tests.waiting import eventually

SESSION = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1"


@pytest.mark.parametrize("colour", COLOURS)
@fault(3, "kill -9 of one backend under load: the server drops every session and recovers", "no call is lost")
def test_no_call_is_lost_when_a_backend_is_killed(server: Postgres, colour: Colour, observed: Observed) -> None:
    with calling(server.url, colour) as callers:
        os.kill(server.ask(SESSION), signal.SIGKILL)
        ended = time.monotonic()
        callers.make_more(200)
        recovered = callers.recovery_since(ended)
        callers.make_more()
    account(callers, server, observed, "crash recovery of the server", recovered)


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
    account(callers, server, observed, f"stopped ({mode})", recovered)


@fault(4, "pg_ctl stop -m smart under load: it waits for the clients", "no call is lost over the sessions there are")
def test_a_smart_shutdown_of_the_server_waits_for_the_store_s_sessions(server: Postgres, observed: Observed) -> None:
    with calling(server.url) as callers:
        server.stop("smart", wait=False)
        assert eventually(lambda: "received smart shutdown request" in server.log)
        callers.make_more(100)
        assert not server.is_down
        assert not callers.degraded
        server.stop("fast")
        callers.await_degraded()
        server.start()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, "served until it was stopped (fast) in the end", recovered)


@pytest.mark.parametrize("colour", COLOURS)
@fault(5, "SIGSTOP of every process of the server for 100 calls", "no call waits longer than the deadline")
def test_no_call_hangs_while_the_server_is_frozen(server: Postgres, colour: Colour, observed: Observed) -> None:
    with calling(server.url, colour) as callers:
        with ended_at_last(server.thaw):
            server.freeze()
            callers.await_degraded()
            callers.make_more(100)
            server.thaw()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, "frozen", recovered)
