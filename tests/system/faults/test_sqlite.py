"""Tests with SQLite: a killed writer, a full file, and a read-only file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import SqlStore, StoreError, StoreUnavailableError, migrate
from tests.system.faults.callers import NEVER_OPENS
from tests.system.faults.table import IS_LONG, Observed, fault

WRITER = """
import sys
from cbstore_sql import BreakerPolicy, SqlStore
with SqlStore(sys.argv[1]) as store:
    while True:
        store.record_failure("b", BreakerPolicy(failure_threshold=10**6))
        print("x", end="", flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "breakers.db"
    migrate(f"sqlite:///{file}")
    return file


@fault(29, "kill -9 of a process that writes, again and again", "no acknowledged write is lost, the file is whole")
def test_no_acknowledged_failure_is_lost_when_a_writer_is_killed(file: Path, observed: Observed) -> None:
    acknowledged = 0
    rounds = 10 if IS_LONG else 3
    for _ in range(rounds):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, f"sqlite:///{file}"], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            acknowledged += len(writer.stdout.read(20))
            writer.send_signal(signal.SIGKILL)
            acknowledged += len(writer.stdout.read())
    with SqlStore(f"sqlite:///{file}") as store:
        counted = store.read("b").failure_count
        store.record_failure("b", NEVER_OPENS)
    assert acknowledged <= counted <= acknowledged + rounds, "one of each may have been counted and not acknowledged"
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    observed(f"{acknowledged} acknowledged, {counted} counted", calls=acknowledged, calls_lost=0, counts_lost=0)


@fault(29, "max_page_count: the file may not grow", "a typed error; existing breakers go on")
def test_a_full_file_refuses_new_breakers_and_existing_breakers_work(file: Path, observed: Observed) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")

    @sa.event.listens_for(engine, "connect")
    def limit(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # The limit is never below the current number of pages.

    with SqlStore(engine) as store:
        store.record_failure("old", NEVER_OPENS)
        added, error = add_until_it_fails(store)
        counted = store.record_failure("old", NEVER_OPENS)
        assert counted is not None
        assert counted.snapshot.failure_count == 2
        assert store.read(f"{added:0500}").failure_count == 0, "what failed was not counted"
    engine.dispose()
    observed(str(error), calls=added + 3, calls_lost=1, counts_lost=0, counts_doubled=0)


def add_until_it_fails(store: SqlStore) -> tuple[int, StoreError]:
    for added in range(10_000):
        try:
            store.record_failure(f"{added:0500}", NEVER_OPENS)
        except StoreError as error:
            return added, error
    pytest.fail("the file has no end")


@fault(29, "the file is opened read-only", "a typed error; reads go on")
def test_a_read_only_file_answers_reads_and_refused_writes_raise_a_typed_error(file: Path, observed: Observed) -> None:
    with SqlStore(f"sqlite:///{file}") as store:
        store.record_failure("b", NEVER_OPENS)
    with SqlStore(f"sqlite:///file:{file}?mode=ro&uri=true") as store:
        assert store.read("b").failure_count == 1
        with pytest.raises(StoreUnavailableError) as raised:
            store.record_failure("b", NEVER_OPENS)
        assert store.read("b").failure_count == 1
    observed(str(raised.value), calls=3, calls_lost=1, counts_lost=0, counts_doubled=0)
