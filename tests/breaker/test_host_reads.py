"""Processes of one host share their reads: one of them asks the store, and no view becomes older than its bound."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from cbstore_sql import (
    AsyncSqlStore,
    CircuitBreaker,
    ConfigurationError,
    InMemoryStore,
    SqlStore,
    StoreUnavailableError,
)
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.host_reads import HostReads, Published, make_host_reads
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Row, Snapshot
from cbstore_sql.runtime.host_file import HostFile
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.sql.identity import identity_of
from tests.breaker.answers import answered
from tests.breaker.drivers import Clock
from tests.waiting import eventually

BOUND = 0.25


class Process:
    """A breaker without a background thread; the test says when it refreshes."""

    def __init__(self, clock: Clock, directory: Path, *names: str) -> None:
        self.view = View(BOUND, clock)
        self.host = HostReads(HostFile("answers", directory))
        self.controller = BreakerController(view=self.view, host_reads=self.host)
        self.clock = clock
        self.use(*names)

    def use(self, *names: str) -> None:
        """Make a call of each breaker; the first call of a breaker reads its row."""
        for name in names:
            if self.controller.fresh_permit(name) is None:
                answered(self.controller.admission(name), row(name))

    def refresh(self, generation: int = 1) -> list[str]:
        """Refresh once; return the names that the store was asked for."""
        steps, asked = self.controller.refresh.run(), list[str]()
        try:
            call: StoreCall = next(steps)
            (asked,) = call.arguments
            steps.send({name: row(name, generation) for name in asked})
        except StopIteration:
            return asked
        raise AssertionError("one refresh asked twice")

    def generations(self) -> Mapping[str, int]:
        return self.view.generations()

    def due_in(self) -> float:
        return self.controller.refresh.pause()


def row(name: str, generation: int = 1) -> Snapshot:
    return Snapshot.of(name, Row(generation=generation), 5000.0)


def test_the_other_processes_use_the_answer_of_one_process(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "b")
    clock.advance(0.2)
    assert one.refresh(generation=7) == ["b"]
    assert two.refresh() == []
    assert two.generations() == {"b": 7}


def test_the_age_of_an_answer_begins_before_its_read_in_every_process(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "b")
    clock.advance(0.1)
    one.refresh()
    clock.advance(0.1)
    assert two.refresh() == []
    clock.advance(BOUND - 0.1)
    assert two.controller.fresh_permit("b")
    clock.advance(0.01)
    assert two.controller.fresh_permit("b") is None


def test_the_process_that_read_last_reads_again_before_the_others(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "b")
    one.refresh()
    two.refresh()
    assert one.due_in() == pytest.approx(0.6 * BOUND)
    assert one.due_in() < two.due_in() < BOUND


def test_an_answer_that_is_too_old_is_replaced_by_the_next_process(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "b")
    one.refresh()
    clock.advance(two.due_in() + two.view.period)
    assert two.refresh(generation=2) == ["b"]
    assert one.refresh() == []
    assert one.generations() == {"b": 2}


def test_a_reader_reads_the_names_of_all_processes(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "c")
    one.refresh()
    assert two.refresh() == ["c", "b"]
    clock.advance(0.21)
    assert sorted(one.refresh()) == ["b", "c"]


def test_a_name_that_no_process_uses_is_removed(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "c")
    two.refresh()
    for _ in range(60):
        one.use("b")
        clock.advance(0.21)
        asked = one.refresh()
    assert asked == ["b"]


def test_while_another_process_reads_this_one_waits_as_long_as_its_view_allows(clock: Clock, tmp_path: Path) -> None:
    one = Process(clock, tmp_path, "b")
    reader = HostReads(HostFile("answers", tmp_path))
    assert reader.try_acquire()
    clock.advance(one.view.period)
    waited = 0
    while not (asked := one.refresh()):
        assert 0 < one.due_in() <= 0.01
        clock.advance(one.due_in())
        waited += 1
    assert waited > 2
    assert asked == ["b"]
    assert one.view.staleness()["b"] == 0
    assert one.controller.fresh_permit("b"), "the view was never older than its bound"
    reader.release()


def test_a_wait_is_one_refresh_for_the_breakers_that_are_not_used(clock: Clock, tmp_path: Path) -> None:
    one = Process(clock, tmp_path, "b")
    reader = HostReads(HostFile("answers", tmp_path))
    assert reader.try_acquire()
    clock.advance(one.view.period)
    for _ in range(100):
        assert one.refresh() == []
    reader.release()
    assert one.generations() == {"b": 1}


def test_a_store_that_does_not_answer_the_reader_frees_the_right_and_publishes_nothing(
    clock: Clock, tmp_path: Path
) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "b")
    clock.advance(0.2)
    answered(one.controller.refresh.run(), StoreUnavailableError("down", applied=False))
    assert one.controller.is_out
    assert two.refresh() == ["b"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"asked_at": 1e99, "breakers": [], "wanted": {}}', b"\xff"])
def test_a_damaged_file_is_ignored(content: bytes, clock: Clock, tmp_path: Path) -> None:
    one = Process(clock, tmp_path, "b")
    (tmp_path / "answers").write_bytes(content)
    clock.advance(0.2)
    assert one.refresh() == ["b"]


def test_a_snapshot_is_the_same_after_it_was_published(clock: Clock, tmp_path: Path) -> None:
    store = InMemoryStore()
    store.force_open("b", 60.0)
    store.set_override("b", "shadow", by="me", reason="trial", seconds=60.0)
    host, seen = HostReads(HostFile("answers", tmp_path)), store.read("b")
    host.publish([seen], 1.0, ["b"], None)
    published = host.published(2.0)
    assert published
    assert published.snapshots == {"b": seen}
    assert published.snapshots["b"].state is seen.state


def test_processes_on_a_real_server_see_a_change_and_one_of_them_reads(migrated_postgres_url: str) -> None:
    """Eight breakers, each with a store and a thread of its own."""
    namespace = uuid.uuid4().hex
    stores = [SqlStore(migrated_postgres_url, namespace=namespace) for _ in range(8)]
    breakers = [CircuitBreaker(store, share_reads=True) for store in stores]
    for breaker in breakers:
        assert breaker.call("api", lambda: 1) == 1
    reads = [0] * len(breakers)
    for number, breaker in enumerate(breakers):
        host = breaker._controller.refresh._host_reads
        assert host

        def count(*answer: object, number: int = number, publish: object = host.publish) -> None:
            reads[number] += 1
            publish(*answer)  # type: ignore[operator]

        host.publish = count  # type: ignore[method-assign, assignment]

    def all_see(state: str) -> bool:
        for breaker in breakers:
            breaker._controller.fresh_permit("api")
        return all(
            seen.state.value == state and seen.name == "api"
            for breaker in breakers
            for seen, _ in breaker._controller.view.snapshots()  # type: ignore[union-attr]
        )

    stores[0].force_open("api", 60.0)
    assert eventually(lambda: all_see("open"))
    stores[1].reset("api")
    assert eventually(lambda: all_see("closed"))
    assert sum(reads) > 0
    for breaker in breakers:
        breaker.close()
        breaker.store.close()


def test_more_names_than_a_reader_reads_for_others_are_not_shared() -> None:
    own = [f"own{number}" for number in range(600)]
    last = Published(1.0, {}, {f"other{number}": 1.0 for number in range(600)})
    assert HostReads.names_for_all(own, last, 2.0) == own


def test_a_process_that_cannot_open_the_lock_reads_for_itself(clock: Clock, tmp_path: Path) -> None:
    one = Process(clock, tmp_path / "missing", "b")
    clock.advance(0.2)
    assert one.refresh() == ["b"]
    assert one.due_in() == one.view.period


def test_a_name_of_another_process_that_the_store_cannot_read_begins_no_outage(clock: Clock, tmp_path: Path) -> None:
    one, two = Process(clock, tmp_path, "b"), Process(clock, tmp_path, "c")
    two.refresh()
    clock.advance(0.2)
    answered(one.controller.refresh.run(), StoreUnavailableError("c", applied=False), {"b": row("b", 3)})
    assert not one.controller.is_out
    assert one.generations() == {"b": 3}


def test_an_unexpected_error_does_not_make_the_refresh_run_without_a_pause(clock: Clock, tmp_path: Path) -> None:
    one = Process(clock, tmp_path, "b")
    one.refresh()
    clock.advance(0.5)
    with pytest.raises(ZeroDivisionError):
        answered(one.controller.refresh.run(), ZeroDivisionError())
    assert one.due_in() == one.view.period


def test_a_store_on_an_engine_of_the_application_cannot_share(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url)
    with pytest.raises(ConfigurationError, match="made from a URL"):
        identity_of(SqlStore(engine))
    engine.dispose()


def test_the_environment_that_names_the_server_is_part_of_the_identity(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqlStore(migrated_postgres_url) as store:
        before = identity_of(store)
        monkeypatch.setenv("PGDATABASE", "elsewhere")
        assert identity_of(store) != before


def test_stores_with_the_same_rows_share_and_others_do_not(migrated_postgres_url: str) -> None:
    with SqlStore(migrated_postgres_url) as one, SqlStore(migrated_postgres_url, namespace="other") as two:
        assert identity_of(one) == identity_of(AsyncSqlStore(migrated_postgres_url))
        assert identity_of(one) != identity_of(two)
        password = one._engine.url.password
        assert not password or password not in "".join(identity_of(one))
        assert one.read("b").state.value == "closed"


def test_a_breaker_that_cannot_share_reads_raises_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="max_staleness above 0"):
        CircuitBreaker(InMemoryStore(), share_reads=True)
    with SqlStore(f"sqlite:///{tmp_path}/b.db") as store, pytest.raises(ConfigurationError, match="PostgreSQL"):
        make_host_reads(store, View(BOUND))
