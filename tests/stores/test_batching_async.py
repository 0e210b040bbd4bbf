"""Tests of the batching of failures of many tasks; see ``tests/breaker/test_batching.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cbstore_sql import BreakerPolicy, Transition
from cbstore_sql.core.commands import Command
from cbstore_sql.stores.batching_async import AsyncCombiningStore
from cbstore_sql.stores.memory import AsyncInMemoryStore

CALLS = 24
NEVER = BreakerPolicy(failure_threshold=1000)
ENDLESS = 3600.0


class Held(AsyncInMemoryStore):
    """A store that blocks its first write until a test releases it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.released = asyncio.Event()

    async def _apply(self, command: Command) -> Transition | None:
        self.written += 1
        if self.written == 1:
            await self.released.wait()
        return await super()._apply(command)


async def turns(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_failures_of_tasks_are_batched_and_a_cancelled_one_is_counted() -> None:
    async def fail_all() -> None:
        memory = Held()
        store = AsyncCombiningStore(memory, 0.001)
        tasks = [asyncio.ensure_future(store.record_failure("b", NEVER)) for _ in range(CALLS)]
        await turns(lambda: sum(batch.callers for batch in store._open.values()) == CALLS - 1)
        tasks[1].cancel()
        tasks[5].cancel()
        memory.released.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 2
        await turns(lambda: memory.written == 2)
        assert (await memory.read("b")).failure_count == CALLS

    asyncio.run(fail_all())


def test_a_batch_of_tasks_at_the_threshold_and_a_single_failure_are_written_at_once() -> None:
    async def fail_all() -> None:
        memory = Held()
        store = AsyncCombiningStore(memory, ENDLESS)
        tasks = [asyncio.ensure_future(store.record_failure("b")) for _ in range(5)]
        await turns(lambda: memory.written == 2)
        memory.released.set()
        answers = await asyncio.gather(*tasks)
        assert [answer is not None and answer.changed for answer in answers].count(True) == 1
        assert await store.record_failure("alone") is not None

    asyncio.run(fail_all())
