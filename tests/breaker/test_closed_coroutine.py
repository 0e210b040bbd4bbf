from __future__ import annotations

import asyncio

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, InMemoryStore


def test_closing_the_coroutine_of_a_probe_awaits_nothing_and_releases_the_probe() -> None:
    store = InMemoryStore()
    store.force_open("b", 0.0)

    async def closed_half_way() -> None:
        guard = AsyncCircuitBreaker(store, BreakerPolicy(probe_lease=30.0)).guard("b")
        await guard.__aenter__()
        closing = guard.__aexit__(GeneratorExit, GeneratorExit(), None)
        with pytest.raises(StopIteration):
            closing.send(None)
        while not store.read("b").probe_claimable:  # until a task has released the probe
            await asyncio.sleep(0)

    asyncio.run(closed_half_way())
