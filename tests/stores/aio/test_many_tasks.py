"""Tests with many tasks of one event loop."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import AsyncSqlStore, BreakerPolicy, StoreUnavailableError
from tests.stores.aio.conftest import OpenStore
from tests.stores.aio.turns import checked_out, landed

TASKS = 50
NEVER = BreakerPolicy(failure_threshold=1000)


def test_fifty_tasks_share_a_pool_of_two(async_url: str) -> None:
    async def main() -> None:
        engine = create_async_engine(async_url, pool_size=2, max_overflow=0)
        store = AsyncSqlStore(engine, namespace=uuid.uuid4().hex)
        counted = await asyncio.gather(*[store.record_failure("b", NEVER) for _ in range(TASKS)])
        assert sorted(t.snapshot.failure_count for t in counted if t) == list(range(1, TASKS + 1))
        assert checked_out(store) == 0
        await engine.dispose()

    asyncio.run(main())


def test_exactly_one_of_fifty_claims_wins(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store(uuid.uuid4().hex) as store:
            await store.force_open("b", 0.0, now=1000.0)
            claims = await asyncio.gather(*[store.claim_probe("b", now=1000.0) for _ in range(TASKS)])
            won = [claim for claim in claims if claim]
            assert len(won) == 1
            assert (await store.read("b")).permit == won[0].permit

    asyncio.run(main())


def test_tasks_receive_their_answers_while_half_of_the_tasks_are_cancelled(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store(uuid.uuid4().hex) as store:
            tasks = [asyncio.ensure_future(store.record_failure("b", NEVER)) for _ in range(TASKS)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not any(isinstance(outcome, Exception) for outcome in outcomes)
            await landed(store)
            assert (await store.read("b")).failure_count == TASKS

    asyncio.run(main())


def test_a_full_pool_raises_an_error_that_names_the_pool(async_url: str) -> None:
    async def main() -> None:
        engine = create_async_engine(async_url, pool_size=1, max_overflow=0, pool_timeout=0.05)
        store = AsyncSqlStore(engine)
        async with engine.connect():
            with pytest.raises(StoreUnavailableError, match="pool") as caught:
                await store.record_failure("b")
        assert caught.value.applied is False
        await engine.dispose()

    asyncio.run(main())
