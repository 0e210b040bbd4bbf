"""Event loops, turn by turn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any

from cbstore_sql import AsyncRedisStore, AsyncSqlStore, AsyncStore


def numbers_of_turns() -> Iterator[int]:
    """Every small number, and then fewer and fewer: an operation's last turns are spent waiting for its server."""
    turns = 0
    while True:
        yield turns
        turns = max(turns + 1, turns * 5 // 4)


async def take_turns(turns: int) -> None:
    """Let everything else in the loop take some turns."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def cancelled_after(turns: int, operation: Coroutine[Any, Any, Any]) -> bool:
    """Cancel an operation after some turns; tell whether it was still under way."""
    task = asyncio.ensure_future(operation)
    await take_turns(turns)
    under_way = task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return under_way


async def landed(store: AsyncStore) -> None:
    """Wait until what the store carries on in the background has ended."""
    if isinstance(store, (AsyncSqlStore, AsyncRedisStore)):
        await store._in_flight.landed()


def checked_out(store: AsyncStore) -> int:
    """How many connections are at work: taken from the store's pool, and not kept for its next statement."""
    if isinstance(store, AsyncSqlStore):
        pool: Any = store._engine.pool
        return int(pool.checkedout()) - len(getattr(store._connections, "_free", ()))
    if isinstance(store, AsyncRedisStore):
        return len(store._client.connection_pool._in_use_connections)
    return 0
