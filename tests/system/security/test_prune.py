"""Tests of pruning: breakers that are idle for a long time are deleted, and the others are kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import (
    BreakerPolicy,
    ConfigurationError,
    SqlStore,
    State,
    StoreError,
    StoreUnavailableError,
    migrate,
    prune,
)
from cbstore_sql.cli import main
from cbstore_sql.core.model import Row
from cbstore_sql.stores.sql import prune as pruning
from cbstore_sql.stores.sql.schema.table import make_table
from tests.servers.clients import fresh_database

DAY = 86400.0
LONG_AGO = 1000.0
ONE_FAILURE = BreakerPolicy(failure_threshold=1, recovery_timeout=60.0, probe_lease=60.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A separate migrated database, because pruning affects all namespaces."""
    if request.param == "sqlite":
        migrate(place := f"sqlite:///{tmp_path}/breakers.db")
        yield place
    else:
        with fresh_database(request.getfixturevalue("postgres_url")) as (place, _):
            migrate(place)
            yield place


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with SqlStore(url) as opened:
        yield opened


def names(store: SqlStore) -> list[str]:
    return [snapshot.name for _, snapshot in store.read_all()]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(), True),
        (Row(last_failure_time=900.0), True),
        (Row(last_failure_time=900.1), False),
        (Row(state="open", open_until=900.0), True),
        (Row(state="open", open_until=900.1), False),
        (Row(state="open", open_until=5000.0), False),
        (Row(state="half_open", probe_token="t", probe_until=900.0), True),
        (Row(state="half_open", probe_token="t", probe_until=900.1), False),
        (Row(last_failure_time=1.0, open_until=1.0, probe_until=950.0), False),
        (Row(failure_count=4, last_failure_time=900.0), True),
    ],
)
def test_a_row_is_idle_if_all_its_times_are_older_than_the_limit(row: Row, expected: bool) -> None:
    assert pruning.is_idle(row, 1000.0, 100.0) is expected


def test_prune_deletes_long_idle_breakers_and_keeps_the_others(url: str, store: SqlStore) -> None:
    now = time.time()
    store.record_failure("counted long ago", now=LONG_AGO)
    store.record_failure("open and claimable for long", ONE_FAILURE, now=LONG_AGO)
    store.force_open("probed long ago", 0.0, now=LONG_AGO)
    assert store.claim_probe("probed long ago", ONE_FAILURE, now=LONG_AGO)
    store.reset("reset")
    store.record_failure("counted lately", now=now - DAY / 2)
    store.force_open("forced open long ago", 30 * DAY, now=LONG_AGO)
    store.set_state("open until tomorrow", {"state": "open", "open_until": now + DAY})
    store.force_open("its probe ran lately", 0.0, now=LONG_AGO)
    assert store.claim_probe("its probe ran lately", ONE_FAILURE, now=now - DAY / 2)
    assert prune(url, idle_for=DAY) == 5
    assert names(store) == ["counted lately", "its probe ran lately", "open until tomorrow"]


def test_a_pruned_breaker_reads_as_a_new_breaker(url: str, store: SqlStore) -> None:
    store.record_failure("b", ONE_FAILURE, now=LONG_AGO)
    assert prune(url, idle_for=DAY) == 1
    assert store.read("b").state is State.CLOSED
    assert store.increment_failure("b") == 1


def test_an_open_breaker_whose_deadline_passed_recently_is_kept(url: str, store: SqlStore) -> None:
    now = time.time()
    store.set_state("b", {"state": "open", "open_until": now - DAY / 2})
    assert prune(url, idle_for=DAY) == 0
    assert prune(url, idle_for=DAY / 4) == 1


def test_prune_with_a_namespace_deletes_only_in_that_namespace(url: str, store: SqlStore) -> None:
    with SqlStore(url, namespace="other") as other:
        for each in (store, other):
            each.record_failure("b", now=LONG_AGO)
    assert prune(url, idle_for=DAY, namespace="other") == 1
    assert [namespace for namespace, _ in store.read_all()] == ["default"]


def test_a_dry_run_only_counts(url: str, store: SqlStore) -> None:
    store.record_failure("b", now=LONG_AGO)
    assert prune(url, idle_for=DAY, dry_run=True) == 1
    assert names(store) == ["b"]


def test_prune_deletes_any_number_of_rows_in_batches(
    url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for name in ("", "a", "b", "é", "снова"):
        store.record_failure(name, now=LONG_AGO)
    store.record_failure("aa")
    assert prune(url, idle_for=DAY) == 5
    assert names(store) == ["aa"]


def test_prune_works_with_the_application_s_engine_and_keeps_its_settings(url: str, store: SqlStore) -> None:
    store.record_failure("b", now=LONG_AGO)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        before = connection.get_isolation_level()
    assert prune(engine, idle_for=DAY) == 1
    with engine.connect() as connection:
        assert connection.get_isolation_level() == before
    engine.dispose()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_prune_skips_a_locked_row_without_waiting(url: str, store: SqlStore) -> None:
    for name in ("a", "b"):
        store.record_failure(name, now=LONG_AGO)
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"options": "-c lock_timeout=5s"})
    with engine.begin() as writer:
        writer.exec_driver_sql("UPDATE cbstore.breakers SET failure_count = 9 WHERE name = 'a'")
        assert prune(engine, idle_for=DAY) == 1
    assert names(store) == ["a"]


def test_the_delete_statement_checks_again_that_the_row_is_idle() -> None:
    rows = pruning._IdleRows(make_table("cbstore"), DAY, None)
    statement = str(pruning._delete(rows, None).compile(dialect=sa.make_url("postgresql+psycopg://").get_dialect()()))
    assert statement.count("last_failure_time <=") == 2
    assert "SKIP LOCKED" in statement


@pytest.mark.parametrize("seconds", [0, 3599.9, -1.0, float("nan"), float("inf"), "30d", True, None], ids=repr)
def test_a_short_or_invalid_idle_time_is_refused(url: str, store: SqlStore, seconds: Any) -> None:
    store.record_failure("b", now=LONG_AGO)
    with pytest.raises(ConfigurationError, match="idle_for"):
        prune(url, idle_for=seconds)
    assert names(store) == ["b"]


def test_a_table_that_cannot_be_pruned_raises_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cbstore migrate"):
        prune(f"sqlite:///{tmp_path}/empty.db", idle_for=DAY)
    with pytest.raises(StoreUnavailableError):
        prune("postgresql://nobody@127.0.0.1:1/none", idle_for=DAY)
    with pytest.raises(ConfigurationError):
        prune(f"sqlite:///{tmp_path}/empty.db", idle_for=DAY, namespace="a\0b")


def test_the_command_deletes_and_prints_the_number(
    url: str, store: SqlStore, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        store.record_failure(name, now=LONG_AGO)
    assert main(["prune", "--url", url, "--idle-for", "30d", "--dry-run"]) == 0
    assert main(["prune", "--url", url, "--idle-for", "30d", "--namespace", "other"]) == 0
    assert main(["prune", "--url", url, "--idle-for", "1h"]) == 0
    lines = ["2 idle breakers would be forgotten", "0 idle breakers forgotten", "2 idle breakers forgotten"]
    assert capsys.readouterr().out.splitlines() == lines
    assert names(store) == []


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 d", "1e3d", "٣d"])
def test_the_command_refuses_a_time_without_a_unit(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["prune", f"--idle-for={text}"])
    assert "--idle-for" in capsys.readouterr().err


def test_the_command_refuses_a_time_longer_than_a_store_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/b.db"
    migrate(url)
    assert main(["prune", "--url", url, "--idle-for", "9999999d"]) == 2
    assert "idle_for must be" in capsys.readouterr().err


def test_the_command_does_not_create_a_sqlite_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--url", f"sqlite:///{tmp_path}/none.db", "--idle-for", "30d"]) == 3
    assert "no such SQLite file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
