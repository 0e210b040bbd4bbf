"""Controls event loops turn by turn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any

from cbstore_sql import AsyncRedisStore, AsyncSqlStore, AsyncStore


def numbers_of_turns() -> Iterator[int]:
    """Yield every small number, and then numbers at growing distances, because the last turns wait for the server."""
    turns = 0
    while True:
        yield turns
        turns = max(turns + 1, turns * 5 // 4)


async def take_turns(turns: int) -> None:
    """Let the other tasks of the event loop run for some turns."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def cancelled_after(turns: int, operation: Coroutine[Any, Any, Any]) -> bool:
    """Cancel an operation after some turns, and return whether it was still running."""
    task = asyncio.ensure_future(operation)
    await take_turns(turns)
    under_way = task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return under_way


async def landed(store: AsyncStore) -> None:
    """Wait until the background work of the store has ended."""
    if isinstance(store, (AsyncSqlStore, AsyncRedisStore)):
        await store._in_flight.landed()


def checked_out(store: AsyncStore) -> int:
    """Return how many connections are in use: taken from the pool, and not kept for the next statement."""
    if isinstance(store, AsyncSqlStore):
        pool: Any = store._engine.pool
        return int(pool.checkedout()) - len(getattr(store._connections, "_free", ()))
    if isinstance(store, AsyncRedisStore):
        return len(store._client.connection_pool._in_use_connections) - len(store._own._free if store._own else ())
    return 0
