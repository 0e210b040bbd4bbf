from __future__ import annotations

import asyncio

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, InMemoryStore


def test_a_coroutine_that_is_closed_while_it_is_the_probe_awaits_nothing_and_gives_the_probe_back() -> None:
    store = InMemoryStore()
    store.force_open("b", 0.0)

    async def closed_half_way() -> None:
        guard = AsyncCircuitBreaker(store, BreakerPolicy(probe_lease=30.0)).guard("b")
        await guard.__aenter__()
        closing = guard.__aexit__(GeneratorExit, GeneratorExit(), None)
        with pytest.raises(StopIteration):
            closing.send(None)
        while not store.read("b").probe_claimable:  # until a task gave the probe back
            await asyncio.sleep(0)

    asyncio.run(closed_half_way())
