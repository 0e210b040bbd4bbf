"""Tests of faults in the process: no thread can start, a hook raises. Also a read-only database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.runtime.threads import no_new_threads
from tests.system.faults.callers import COLOURS, Colour, account, calling
from tests.system.faults.postgres import Postgres
from tests.system.faults.table import Observed, fault

END_SESSIONS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class TokenError(Exception):
    """The error of a hook, such as one that fetches a token from a cloud. It is not a driver's error."""


@contextlib.contextmanager
def failing_hook() -> Iterator[None]:
    """Make every new connection of SQLAlchemy fail in a hook, such as one that fetches a token over a network."""

    def fail(*_: Any) -> None:
        raise TokenError("the token of a user")

    sa.event.listen(Engine, "do_connect", fail)
    try:
        yield
    finally:
        sa.event.remove(Engine, "do_connect", fail)


@fault(31, "every session is ended, and no thread can start for 100 calls", "no call is lost; used again by itself")
def test_no_call_is_lost_when_no_thread_can_start(server: Postgres, observed: Observed) -> None:
    with calling(server.url) as callers:
        with no_new_threads():
            server.ask(END_SESSIONS)
            callers.await_degraded()
            callers.make_more(100)
        ended = time.monotonic()
        recovered = callers.recovery_since(ended)
        callers.make_more()
    account(callers, server, observed, "no thread for a connection", recovered)


@pytest.mark.parametrize("colour", COLOURS)
@fault(32, "every session is ended, and a do_connect hook raises for 100 calls", "no call is lost; no secret is logged")
def test_no_call_is_lost_when_a_connection_hook_raises(
    server: Postgres, colour: Colour, observed: Observed, caplog: pytest.LogCaptureFixture
) -> None:
    with calling(server.url, colour) as callers:
        with failing_hook():
            server.ask(END_SESSIONS)
            callers.await_degraded()
            callers.make_more(100)
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    assert "token of a user" not in caplog.text
    account(callers, server, observed, "no connection was opened: TokenError", recovered)


@pytest.mark.parametrize("colour", COLOURS)
@fault(33, "the database becomes read-only for 100 calls", "no call is lost; one outage, though it can be read")
def test_no_call_is_lost_when_the_database_becomes_read_only(
    server: Postgres, colour: Colour, observed: Observed
) -> None:
    with calling(server.url, colour) as callers:
        server.configure("default_transaction_read_only", "on")
        callers.await_degraded()
        callers.make_more(100)
        assert len(callers.degraded) == 1, "that it can be read does not end the outage"
        assert not callers.recovered
        server.configure("default_transaction_read_only", "off")
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, "read-only, one outage", recovered)
