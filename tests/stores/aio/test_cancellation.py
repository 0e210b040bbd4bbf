"""An operation that is cancelled at any moment leaks no connection. An operation that has begun is completed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from cbstore_sql import AsyncStore, BreakerPolicy, Permit, State
from tests.stores.aio.conftest import OpenStore
from tests.stores.aio.turns import cancelled_after, checked_out, landed, numbers_of_turns

POLICY = BreakerPolicy(recovery_timeout=60.0, probe_lease=30.0)

OnName = Callable[[str], Coroutine[Any, Any, Any]]


async def nothing(name: str) -> None:
    """Do nothing to prepare a breaker."""


async def at_every_turn(
    store: AsyncStore, operate: OnName, prepare: OnName = nothing
) -> AsyncIterator[tuple[str, bool]]:
    """Cancel an operation after each number of turns of the event loop, each time on a new breaker.

    Yields:
        The breaker's name, and whether the operation had begun.
    """
    for turns in numbers_of_turns():
        name = f"after {turns} turns"
        await prepare(name)
        under_way = await cancelled_after(turns, operate(name))
        await landed(store)
        assert checked_out(store) == 0, name
        yield name, turns > 0
        if not under_way:
            return


def test_a_cancelled_failure_is_counted_if_it_had_begun(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store(uuid.uuid4().hex) as store:
            async for name, begun in at_every_turn(store, store.record_failure):
                assert (await store.read(name)).failure_count == begun, name

    asyncio.run(main())


def test_a_cancelled_first_failure_is_counted_while_the_store_still_connects(open_store: OpenStore) -> None:
    async def main() -> None:
        for turns in numbers_of_turns():
            async with open_store(uuid.uuid4().hex) as store:
                under_way = await cancelled_after(turns, store.record_failure("b"))
                await landed(store)
                assert checked_out(store) == 0, turns
                assert (await store.read("b")).failure_count == (turns > 0), turns
            if not under_way:
                return

    asyncio.run(main())


def test_the_owner_of_a_cancelled_claim_can_claim_the_probe_again(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store(uuid.uuid4().hex) as store:

            async def claim(name: str) -> Any:
                return await store.claim_probe(name, POLICY, token="me", now=1000.0)

            async for name, begun in at_every_turn(store, claim, lambda name: store.force_open(name, 0.0, now=900.0)):
                assert (await store.read(name)).state is (State.HALF_OPEN if begun else State.OPEN), name
                again = await claim(name)
                assert again.permit.token == "me", name

    asyncio.run(main())


def test_a_cancelled_report_settles_the_probe_if_it_had_begun(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store(uuid.uuid4().hex) as store:
            permits: dict[str, Permit] = {}

            async def own(name: str) -> None:
                await store.force_open(name, 0.0, now=900.0)
                claim = await store.claim_probe(name, POLICY, now=1000.0)
                assert claim is not None
                permits[name] = claim.permit

            async def settle(name: str) -> None:
                await store.record_success(permits[name], POLICY)

            async for name, begun in at_every_turn(store, settle, own):
                assert (await store.read(name)).state is (State.CLOSED if begun else State.HALF_OPEN), name

    asyncio.run(main())


def test_a_cancelled_read_leaves_the_store_usable(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store(uuid.uuid4().hex) as store:
            async for name, _ in at_every_turn(store, store.read):
                assert (await store.read(name)).state is State.CLOSED

    asyncio.run(main())


def test_a_cancelled_close_is_completed(open_store: OpenStore) -> None:
    async def main() -> None:
        for turns in numbers_of_turns():
            store = open_store(uuid.uuid4().hex)
            await store.record_failure("b")
            under_way = await cancelled_after(turns, store.close())
            if turns == 0:
                await store.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*tasks)
            if not under_way:
                return

    asyncio.run(main())
