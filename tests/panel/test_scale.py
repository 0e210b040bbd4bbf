"""Tests with ten thousand breakers, and with many open tabs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import SqlStore
from cbstore_sql.panel.reader import Reader
from cbstore_sql.panel.source import Page, WholeStore
from cbstore_sql.panel.sql import SqlPages
from cbstore_sql.panel.streams import HELLO
from cbstore_sql.panel.views import View
from cbstore_sql.stores.sql.operations import Query
from tests.panel.conftest import POLICY
from tests.panel.requests import Client
from tests.waiting import PATIENCE

MANY = 10_000
LARGEST_PAGE = 100_000
LARGEST_ASSETS = 50_000
SLOWEST = 0.2

# The longest ordinary names, every state, full histories, and a lock on every tenth breaker.
FILL = """
INSERT INTO {schema}.breakers (namespace, name, state, previous_state, generation, failure_count,
  last_failure_time, open_until, open_seconds, override, override_by, override_reason, history)
SELECT 'tenant-' || mod(number, 40), 'breaker-of-a-service-' || number,
  (ARRAY['closed', 'open', 'half_open'])[mod(number, 3) + 1], 'closed', number, mod(number, 7),
  1800000000, 1800000030, 30, CASE WHEN mod(number, 10) = 0 THEN 'open' ELSE '' END, 'alice', 'maintenance',
  repeat('19a0c5e2f00Ncoworker-1/12345;19a0c5e2f0aQohworker-2/23456;', 4)
FROM generate_series(1, {many}) AS number
"""


@pytest.fixture
def many(postgres_url: str, schema_on_postgres: str) -> Iterator[SqlStore]:
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DELETE FROM {schema_on_postgres}.breakers")
        connection.exec_driver_sql(FILL.format(schema=schema_on_postgres, many=MANY))
        connection.exec_driver_sql(f"ANALYZE {schema_on_postgres}.breakers")
        with SqlStore(postgres_url, schema=schema_on_postgres) as store:
            yield store
        connection.exec_driver_sql(f"DELETE FROM {schema_on_postgres}.breakers")


def counted(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """Return a list to which each further statement of the store is added."""
    queries: list[Query] = []
    execute = store._execute

    def counting(query: Query) -> Any:
        queries.append(query)
        return execute(query)

    monkeypatch.setattr(store, "_execute", counting)
    return queries


def test_a_page_of_ten_thousand_breakers_is_one_query_small_and_fast(
    many: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(many, actions=True, period=0.1)
    reader = client.application._panel.settings.reader
    queries = counted(many, monkeypatch)
    client.get("/")
    taken = []
    for number in range(10):
        monkeypatch.setattr(reader, "_clock", lambda number=number: 1e9 * (number + 1))
        began = time.perf_counter()
        answer = client.get("/")
        taken.append(time.perf_counter() - began)
    assert len(queries) == 11
    assert answer.text.count('<th scope="row">') == 100
    assert "10000 breakers" in answer.text
    assert len(answer.body) <= LARGEST_PAGE
    assert min(taken) <= SLOWEST


def test_the_page_of_one_breaker_is_one_query(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(store)
    queries = counted(store, monkeypatch)
    assert client.get("/breaker", {"namespace": "web", "name": "payments"}).status == 200
    assert len(queries) == 1


def test_the_assets_are_small() -> None:
    assets = list((files("cbstore_sql.panel") / "static").iterdir())
    assert {asset.name for asset in assets} == {"panel.css", "panel.js", "panel.svg"}
    assert sum(len(asset.read_bytes()) for asset in assets) <= LARGEST_ASSETS


def test_ten_open_tabs_add_no_query(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(store)
    reader = client.application._panel.settings.reader
    monkeypatch.setattr(reader, "_clock", lambda: 1000.0)
    queries = counted(store, monkeypatch)
    view = View.of({})
    ends = [reader.watch(view, lambda: None) for _ in range(10)]
    for _ in range(10):
        assert client.get("/").status == 200
        assert client.get("/live").status == 200
    assert len(queries) == 1
    for end in ends:
        end()


def test_every_tab_receives_a_change_and_the_reader_thread_ends_with_the_last_tab(store: SqlStore) -> None:
    client = Client(store, events=True, period=0.1)
    reader = client.application._panel.settings.reader
    client.get("/")
    streams = [client.application(environ(), lambda *_: None) for _ in range(3)]
    assert [next(stream) for stream in streams] == [HELLO] * 3
    store.record_failure("ledger", POLICY)
    assert [next(stream) for stream in streams] == [b"event: changed\ndata:\n\n"] * 3
    for stream in streams:
        stream.close()
    wait_for(lambda: reader._thread is None)
    assert reader._watchers == {}


def environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/events",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
    }


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_asgi_tab_receives_a_change_and_is_removed_when_it_is_closed(store: SqlStore) -> None:
    client = Client(store, colour="asgi", period=0.1)
    reader = client.application._panel.settings.reader
    client.get("/")

    async def watch() -> list[bytes]:
        closed, sent = asyncio.Event(), asyncio.Queue[bytes]()
        first = True

        async def receive() -> dict[str, Any]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b""}
            await closed.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                sent.put_nowait(message["body"])

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
        }
        stream = asyncio.ensure_future(client.application(scope, receive, send))
        hello = await sent.get()
        await asyncio.to_thread(store.record_failure, "ledger", POLICY)
        changed = await sent.get()
        closed.set()
        await stream
        return [hello, changed]

    assert asyncio.run(watch()) == [HELLO, b"event: changed\ndata:\n\n"]
    wait_for(lambda: reader._thread is None)


@pytest.mark.parametrize("sort", ["worst", "name", "failures", "changed"])
@pytest.mark.parametrize("state", ["", "open", "half_open", "closed", "override"])
@pytest.mark.parametrize("text", ["", "E", "web"])
def test_the_sql_pages_select_and_sort_like_the_pages_of_other_stores(
    sort: str, state: str, text: str, store: SqlStore
) -> None:
    view = View(text=text, state=state, sort=sort)

    def shown(page: Page) -> tuple[Any, ...]:
        return page.totals, page.matched, [(entry.namespace, entry.snapshot.name) for entry in page.entries]

    assert shown(SqlPages(store).read(view)) == shown(WholeStore(store).read(view))


def test_simultaneous_requests_share_one_read() -> None:
    reads: list[View] = []

    class Source:
        def read(self, view: View) -> Page:
            reads.append(view)
            time.sleep(0.05)
            return Page(0.0, {}, 0, ())

    reader = Reader(Source(), period=3600.0)

    async def ask() -> None:
        await asyncio.gather(*(asyncio.to_thread(reader.read, View()) for _ in range(8)))

    asyncio.run(ask())
    assert len(reads) == 1
