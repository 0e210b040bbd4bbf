"""Tests of `as_async`, which makes a synchronous store usable in an event loop."""

from __future__ import annotations

import asyncio
import threading
import uuid

from cbstore_sql import AsyncInMemoryStore, InMemoryStore, SqlStore, Store
from cbstore_sql.stores.threaded import ThreadedStore, as_async
from tests.stores.aio.turns import cancelled_after, numbers_of_turns


def test_as_async_returns_an_asynchronous_store_unchanged() -> None:
    store = AsyncInMemoryStore()
    assert as_async(store) is store


def test_as_async_shares_a_store_in_memory_without_threads() -> None:
    async def main(store: Store) -> None:
        lent = as_async(store)
        assert lent.namespace == store.namespace
        await lent.record_failure("b")
        assert store.read("b").failure_count == 1
        store.record_failure("b")
        assert (await lent.read("b")).failure_count == 2
        await lent._delete("b")
        assert store.read("b").failure_count == 0
        assert threading.active_count() == threads

    threads = threading.active_count()
    asyncio.run(main(InMemoryStore("mine")))


def test_as_async_uses_threads_for_a_subclass_of_the_store_in_memory() -> None:
    class Slow(InMemoryStore):
        """A subclass whose methods may block."""

    assert isinstance(as_async(Slow()), ThreadedStore)


def test_a_failure_that_has_begun_is_counted_before_the_store_closes(sql_url: str) -> None:
    async def main() -> None:
        namespace = uuid.uuid4().hex
        for turns in numbers_of_turns():
            async with as_async(SqlStore(sql_url, namespace=namespace)) as store:
                under_way = await cancelled_after(turns, store.record_failure(f"{turns}"))
            with SqlStore(sql_url, namespace=namespace) as other:
                assert other.read(f"{turns}").failure_count == (turns > 0), turns
            if not under_way:
                return

    asyncio.run(main())
