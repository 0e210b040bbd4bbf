"""A synchronous store for callers in an event loop."""

from __future__ import annotations

import asyncio

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.runtime.tasks import InFlight, run_to_completion
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.memory import AsyncInMemoryStore, InMemoryStore


class ThreadedStore(AsyncStore):
    """Lends a synchronous store to an event loop, which its I/O then never blocks: its operations run in threads.

    Args:
        store: The store; closing this one closes it.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store.namespace)
        self._store = store
        self._in_flight = InFlight()

    async def close(self) -> None:
        """Wait for the operations under way, then close the store."""
        await run_to_completion(self._close())

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await self._in_flight.carry(asyncio.to_thread(self._store._read, name, now))

    async def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        return await self._in_flight.carry(asyncio.to_thread(self._store._read_many, names, now))

    async def _apply(self, command: Command) -> Transition | None:
        return await self._in_flight.carry(asyncio.to_thread(self._store._apply, command))

    async def _delete(self, name: str) -> None:
        await self._in_flight.carry(asyncio.to_thread(self._store._delete, name))

    async def _close(self) -> None:
        await self._in_flight.landed()
        await asyncio.to_thread(self._store.close)


def as_async(store: AsyncStore | Store) -> AsyncStore:
    """Return an asynchronous store as it is, one in memory without threads, any other synchronous one in threads."""
    if isinstance(store, AsyncStore):
        return store
    # A class derived from it may do what blocks.
    return AsyncInMemoryStore.sharing(store) if type(store) is InMemoryStore else ThreadedStore(store)
