"""A synchronous store for callers in an event loop: its operations run in threads."""

from __future__ import annotations

import asyncio

from cbstore_sql.async_store import AsyncStore
from cbstore_sql.background import carried_through
from cbstore_sql.commands import Command
from cbstore_sql.model import Snapshot, Transition
from cbstore_sql.store import Store


class ThreadedStore(AsyncStore):
    """Lends a synchronous store to an event loop, which its I/O then never blocks.

    Args:
        store: The store; closing this one closes it.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store.namespace)
        self._store = store

    async def close(self) -> None:
        """Close the store."""
        await asyncio.to_thread(self._store.close)

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await carried_through(asyncio.to_thread(self._store._read, name, now))

    async def _apply(self, command: Command) -> Transition | None:
        return await carried_through(asyncio.to_thread(self._store._apply, command))

    async def _delete(self, name: str) -> None:
        await carried_through(asyncio.to_thread(self._store._delete, name))


def as_async(store: AsyncStore | Store) -> AsyncStore:
    """Return an asynchronous store as it is and a synchronous one in threads."""
    return store if isinstance(store, AsyncStore) else ThreadedStore(store)
