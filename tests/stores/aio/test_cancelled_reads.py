"""A cancelled read leaves its connection open. The next statement on the connection reads the unwanted answer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore, StoreUnavailableError
from cbstore_sql.deadline import within
from tests.stores.aio.turns import checked_out
from tests.waiting import PATIENCE

SESSIONS = "SELECT pid, wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = %s"


class Watched:
    """A store whose sessions another session looks at, and whose reads that other session can stop."""

    def __init__(self, url: str, observer: psycopg.Connection) -> None:
        self.name = uuid.uuid4().hex
        named = sa.make_url(url).update_query_dict({"application_name": self.name})
        self.store = AsyncSqlStore(named, namespace=self.name)
        self._url = url
        self._observer = observer

    def sessions(self) -> dict[int, bool]:
        """Return the server processes of the store, and whether each of them waits for a lock."""
        return dict(self._observer.execute(SESSIONS, [self.name]).fetchall())

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No session can read the table during the block."""
        with psycopg.connect(self._url.replace("+psycopg", "")) as holder:
            holder.execute("LOCK TABLE cbstore.breakers IN ACCESS EXCLUSIVE MODE")
            yield

    async def begin(self, work: asyncio.Task[object]) -> None:
        """Wait until the store's statement waits for the lock."""
        while not any(self.sessions().values()):
            assert not work.done()
            await asyncio.sleep(0.005)

    async def cancel(self, work: asyncio.Task[object]) -> None:
        """Cancel work whose statement waits for the lock."""
        await self.begin(work)
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


@pytest.fixture
def watched(migrated_postgres_url: str) -> Iterator[Watched]:
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as observer:
        yield Watched(migrated_postgres_url, observer)


def test_the_next_operation_uses_the_connection_of_a_cancelled_read(watched: Watched) -> None:
    async def main() -> None:
        async with watched.store as store:
            await store.record_failure("b")
            before = watched.sessions()
            with watched.stopped():
                await watched.cancel(asyncio.ensure_future(store.read("b")))
                assert checked_out(store) == 0
            assert (await store.read("other")).failure_count == 0
            await store.record_failure("b")
            assert (await store.read("b")).failure_count == 2
            assert watched.sessions().keys() == before.keys()

    asyncio.run(main())


def test_many_reads_that_are_cancelled_one_after_the_other_need_one_connection(watched: Watched) -> None:
    async def main() -> None:
        async with watched.store as store:
            await store.record_failure("b")
            with watched.stopped():
                for _ in range(5):
                    await watched.cancel(asyncio.ensure_future(store.read("b")))
            assert (await store.read("b")).failure_count == 1
            assert len(watched.sessions()) == 1

    asyncio.run(main())


def test_a_cancelled_read_behind_a_sent_success_keeps_the_order(watched: Watched) -> None:
    async def main() -> None:
        async with watched.store as store:
            permit = (await store.read("b")).permit
            await store.record_success(permit)
            await store.record_failure("b")
            with watched.stopped():
                assert store.send_success(permit)
                await watched.cancel(asyncio.ensure_future(store.read("b")))
            await store.record_failure("b")
            assert (await store.read("b")).failure_count == 1
            assert len(watched.sessions()) == 1

    asyncio.run(main())


def test_the_deadline_of_the_operation_after_a_cancelled_read_holds(watched: Watched) -> None:
    async def main() -> None:
        async with watched.store as store:
            await store.record_failure("b")
            with watched.stopped():
                await watched.cancel(asyncio.ensure_future(store.read("b")))
                with within(0.05), pytest.raises(StoreUnavailableError) as caught:
                    await store.record_failure("b")
                assert caught.value.applied is False
            assert (await store.read("b")).failure_count == 1

    asyncio.run(main())


def test_closing_waits_for_a_read(watched: Watched) -> None:
    async def main() -> None:
        store = watched.store
        await store.record_failure("b")
        with watched.stopped():
            reading = asyncio.ensure_future(store.read("b"))
            await watched.begin(reading)
            closing = asyncio.ensure_future(store.close())
            assert not (await asyncio.wait({closing}, timeout=0.05))[0]
        await asyncio.wait_for(closing, PATIENCE)
        assert (await reading).failure_count == 1
        assert checked_out(store) == 0

    asyncio.run(main())


def test_a_call_that_is_cancelled_during_its_admission_begins_no_outage(watched: Watched) -> None:
    async def answer() -> str:
        return "answer"

    async def main() -> None:
        async with watched.store as store, AsyncCircuitBreaker(store, max_staleness=0, store_timeout=60.0) as breaker:
            assert await breaker.call("b", answer) == "answer"
            with watched.stopped():
                await watched.cancel(asyncio.ensure_future(breaker.call("b", answer)))
            assert not breaker._controller.is_out
            assert await breaker.call("b", answer) == "answer"
            assert len(watched.sessions()) == 1

    asyncio.run(main())


def test_the_end_of_an_event_loop_during_a_read_leaves_a_store_for_the_next_loop(watched: Watched) -> None:
    store = watched.store
    asyncio.run(store.record_failure("b"))

    async def leave_a_read() -> None:
        await watched.begin(asyncio.ensure_future(store.read("b")))  # `asyncio.run` cancels the read

    async def main() -> None:
        async with store:
            assert (await store.read("b")).failure_count == 1
            assert checked_out(store) == 0

    with watched.stopped():
        asyncio.run(leave_a_read())
    asyncio.run(main())
