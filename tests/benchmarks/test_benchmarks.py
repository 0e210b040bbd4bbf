"""Every subject of the benchmarks runs, and the parts of a measurement work. No test judges a figure."""

from __future__ import annotations

import asyncio
import json
import socket
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks import chart, render, report, stores
from benchmarks.report import Report
from benchmarks.results import Section, at_least, at_most, plain, section_of
from benchmarks.servers import Servers
from benchmarks.subjects import SUBJECTS
from benchmarks.timing import awaiting, calling, latency
from cbstore_sql import SqlStore, State
from tests.system.faults.proxy import FaultProxy

RunSubject = Callable[[str], Section]

SAME = {
    stores.SAME: stores.POSTGRES_RELAXED,
    stores.SAME_RATE: stores.RATE,
    stores.SAME_GUARDED: stores.GUARDED,
    stores.SAME_GUARDED_RATE: stores.GUARDED_RATE,
}
"""Which store sends the same statement."""

_UPDATES = """SELECT query FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'UPDATE cbstore.breakers SET state=%'"""
"""The last statements of the sessions that count failures."""

RAW = {stores.RAW_POSTGRES: "postgres", stores.RAW_SQLITE: "sqlite"}


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_runs_and_its_result_can_be_stored(name: str, section: RunSubject) -> None:
    found = section(name)
    assert found.tables
    for table in found.tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert render.as_text(table)
        assert render.as_markdown(table)
    assert all(target.met is not None for target in found.targets), "nothing that has a target goes unmeasured"
    assert section_of(json.loads(json.dumps(plain(found)))) == found


def test_a_report_is_stored_with_its_pictures_and_without_the_name_of_the_machine(
    section: RunSubject, tmp_path: Path
) -> None:
    found = Report(report.machine("tiny", {"PostgreSQL": "0"}), {name: section(name) for name in SUBJECTS})
    report.keep(found, tmp_path, "found")
    kept = tmp_path / "found.json"
    assert report.read(kept) == found
    pictures = {name: (tmp_path / f"found-{name}.svg").read_text(encoding="utf-8") for name in chart.PICTURES}
    for name, (subject, _) in chart.PICTURES.items():
        assert pictures[name].endswith("</svg>\n")
        assert "prefers-color-scheme: dark" in pictures[name]
        for row in found.sections[subject].tables[0].rows if subject != "growth" else ():
            assert f">{row[0]}</text>" in pictures[name]
    for text in (kept.read_text(encoding="utf-8"), *pictures.values()):
        assert socket.gethostname() not in text
        assert str(report.ROOT) not in text


def test_the_page_shows_the_stored_figures() -> None:
    page = (report.DOCS / "performance.md").read_text(encoding="utf-8")
    kept = report.read(report.DOCS / "performance.json")
    assert report.with_figures(page, kept) == page


def test_the_proxy_counts_round_trips(servers: Servers) -> None:
    with FaultProxy(servers.postgres) as proxy:
        conninfo = servers.at(postgres=proxy.address).conninfo
        with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("SELECT 1")
            before = proxy.round_trips
            for _ in range(7):
                connection.execute("SELECT 1")
            assert proxy.round_trips - before == 7
            connection.execute("SELECT repeat('x', 1000000)")
            assert proxy.round_trips - before == 8
            with connection.pipeline():
                for _ in range(3):
                    connection.execute("SELECT 1")
            assert proxy.round_trips - before == 9


@pytest.mark.parametrize("name", RAW)
def test_the_hand_written_reference_has_the_same_effect_as_the_store(name: str, servers: Servers) -> None:
    with (
        stores.STORES[name](servers) as raw,
        SqlStore(getattr(servers, RAW[name]), namespace=f"{servers.namespace}/raw") as store,
    ):
        raw.make(["limit"])
        raw.fail("limit")
        raw.fail("limit")
        assert store.read("limit").failure_count == 2
        raw.succeed("limit")
        assert store.read("limit").failure_count == 0
        raw.open("limit", stores.HELD)
        assert not raw.claim("limit")
        assert store.read("limit").state is State.OPEN
        raw.open("limit", 0.0)
        assert raw.claim("limit")
        assert not raw.claim("limit")
        probing = store.read("limit")
        assert probing.state is State.HALF_OPEN
        assert probing.probe_active
        raw.fail("limit")
        reopened = store.read("limit")
        assert reopened.state is State.OPEN
        assert reopened.generation > probing.generation


@pytest.mark.parametrize("name", SAME)
def test_the_same_statement_by_hand_is_the_one_that_the_library_sends_and_costs_one_round_trip(
    name: str, servers: Servers
) -> None:
    with (
        FaultProxy(servers.postgres) as proxy,
        stores.STORES[name](servers.at(postgres=proxy.address)) as raw,
        stores.STORES[SAME[name]](servers) as ours,
    ):
        for operations in (raw, ours):
            operations.make([name])
            operations.fail(name)
        before = proxy.round_trips
        raw.fail(name)
        assert proxy.round_trips - before == 1
        with psycopg.connect(servers.conninfo) as connection:
            texts = [text for (text,) in connection.execute(_UPDATES)]
        assert len(texts) == 2
        assert len({*texts}) == 1
        rows: Any = raw.read(name)
        assert rows[0][2] == 2, "both failures are counted"


def test_each_store_counts_and_wins_and_loses_claims_as_the_subjects_expect(servers: Servers) -> None:
    for enter in stores.STORES.values():
        with enter(servers) as operations:
            operations.make(["alike"])
            assert operations.fail("alike")
            operations.open("alike", 0.0)
            assert won(operations.claim("alike"))
            operations.open("alike", stores.HELD)
            assert not won(operations.claim("alike"))


def won(answer: object) -> bool:
    """Return whether a claim was won. MassGen's store returns a tuple whose first item says so."""
    return bool(answer[0] if isinstance(answer, tuple) else answer)


def test_a_turn_measures_each_call_and_ends_after_its_time() -> None:
    seen: list[str] = []
    turn = calling(lambda: seen.append("called"), lambda: seen.append("prepared"))
    assert len(turn(3, 60.0)) == 3
    assert seen == ["prepared", "called"] * 3
    assert len(turn(1000, 0.0)) == 1
    loop = asyncio.new_event_loop()
    assert len(awaiting(loop, lambda: asyncio.sleep(0))(3, 60.0)) == 3
    loop.close()


def test_a_latency_is_the_median_and_the_99th_percentile_in_microseconds() -> None:
    found = latency(array("q", range(1000, 101_000, 1000)))
    assert (found.median, found.p99) == (51.0, 100.0)


def test_a_target_is_met_up_to_its_bound() -> None:
    assert at_most("", 1.3, 1.3).met is True
    assert at_most("", 1.31, 1.3).met is False
    assert at_least("", 1.0, 1.0).met is True
    assert at_least("", 0.99, 1.0).met is False
    assert at_most("", None, 1.0).met is None
