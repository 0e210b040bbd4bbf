"""Tests of which clock a store uses, and when the clock is read."""

from __future__ import annotations

import threading
import uuid

import psycopg
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, SqlStore


def test_time_is_read_when_the_row_is_reached_not_when_the_statement_began(migrated_postgres_url: str) -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0)
    plain = migrated_postgres_url.replace("+psycopg", "")
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store, psycopg.connect(plain) as holder:
        store.reset("b")
        key = {"namespace": store.namespace}
        holder.execute("UPDATE cbstore.breakers SET failure_count = 7 WHERE namespace = %(namespace)s", key)
        waiting = threading.Thread(target=lambda: store.record_failure("b", policy))
        waiting.start()
        _wait_for_a_lock(plain)
        holder.execute("SELECT pg_sleep(0.2)")
        released = holder.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
        holder.commit()
        waiting.join()
        assert released is not None
        assert store.read("b").last_failure_time >= float(released[0])


def _wait_for_a_lock(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as observer:
        question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not (observer.execute(question).fetchone() or (0,))[0]:
            pass


def test_the_store_uses_the_server_s_clock_and_not_the_application_s(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url)
    with engine.connect() as connection:
        before = connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())"))
        forced = SqlStore(engine, namespace=uuid.uuid4().hex).force_open("b", 0.0)
        after = connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())"))
    assert float(before) <= forced.snapshot.last_failure_time <= float(after)
    engine.dispose()
