"""Helpers for the tests of push."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import sqlalchemy as sa

from cbstore_sql import (
    AsyncCircuitBreaker,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    SqlStore,
)
from cbstore_sql.stores.sql.push.channel import channel_of
from tests.waiting import eventually

LONG = 600.0
"""Seconds of staleness that no test waits for: what is known sooner was pushed."""

TRIPS_AT_ONCE = BreakerPolicy(failure_threshold=1)
CHANNEL = channel_of("cbstore")


def with_options(url: str, **options: str) -> str:
    return sa.make_url(url).update_query_dict(options).render_as_string(hide_password=False)


def pushing(store: SqlStore) -> CircuitBreaker:
    breaker = CircuitBreaker(store, TRIPS_AT_ONCE, store_timeout=None, max_staleness=LONG, push=True)
    breaker.call("b", int)
    assert eventually(lambda: breaker.push_state == "listening")
    return breaker


def refuses(breaker: CircuitBreaker | AsyncCircuitBreaker) -> bool:
    """Return whether the breaker refuses a call by its view, without reading the store."""
    try:
        breaker._controller.admit_without_io("b")
    except CircuitBreakerOpenError:
        return True
    return False


def is_called(breaker: CircuitBreaker) -> bool:
    try:
        breaker.call("b", int)
    except CircuitBreakerOpenError:
        return False
    return True


def sessions(observer: psycopg.Connection, namespace: str) -> list[int]:
    question = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
    return [pid for (pid,) in observer.execute(question, [namespace])]


def hearing(observer: psycopg.Connection) -> Callable[[], list[str]]:
    """Listen for notifications, and return a function that returns all notifications until then."""
    heard: list[str] = []
    observer.add_notify_handler(lambda notify: heard.append(notify.payload))
    observer.execute(f"LISTEN {CHANNEL}")

    def told() -> list[str]:
        # Notifications arrive in the order of their commits.
        observer.execute("SELECT pg_notify(%s, 'end')", [CHANNEL])
        assert eventually(lambda: observer.execute("SELECT") and "end" in heard)
        return heard

    return told
