"""How asynchronous code uses a synchronous store: its operations run in threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.runtime.tasks import InFlight, run_to_completion
from cbstore_sql.runtime.workers import DaemonWorkers
from cbstore_sql.runtime.workers_async import run_in_thread
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.memory import AsyncInMemoryStore, InMemoryStore

T = TypeVar("T")

_MAX_THREADS = 16
"""The largest number of operations of one store that run at the same time. Further operations wait in a queue."""


class ThreadedStore(AsyncStore):
    """An asynchronous store that runs the operations of a synchronous store in threads.

    So the I/O of the synchronous store never blocks the event loop. Each `ThreadedStore` has its own pool of threads.
    It does not use the event loop's default executor, which may be busy with the application's work or shut down.

    Args:
        store: The synchronous store. `close` of this object closes the synchronous store.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store.namespace)
        self._store = store
        self._in_flight = InFlight()
        self._workers = DaemonWorkers("cbstore-async", _MAX_THREADS)

    async def close(self) -> None:
        """Wait until all running operations have ended, then close the synchronous store."""
        await run_to_completion(self._close())

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await self._run(partial(self._store._read, name, now))

    async def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        return await self._run(partial(self._store._read_many, names, now))

    async def _apply(self, command: Command) -> Transition | None:
        return await self._run(partial(self._store._apply, command))

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send a success without waiting, if the synchronous store can; see `Store.send_success`."""
        return self._store.send_success(permit, policy)

    async def _history(self, name: str) -> str:
        return await self._run(partial(self._store._history, name))

    async def _delete(self, name: str) -> None:
        await self._run(partial(self._store._delete, name))

    async def _check_writable(self) -> None:
        await self._run(self._store._check_writable)

    async def _run(self, operation: Callable[[], T]) -> T:
        return await self._in_flight.carry(run_in_thread(self._workers, operation))

    async def _close(self) -> None:
        await self._in_flight.landed()
        await run_in_thread(self._workers, self._store.close)


def as_async(store: AsyncStore | Store) -> AsyncStore:
    """Return an asynchronous store with the same breakers as a given store.

    Args:
        store: A synchronous or an asynchronous store.

    Returns:
        ``store`` itself if it is asynchronous. For an `InMemoryStore`, an `AsyncInMemoryStore`. For any other
        synchronous store, a `ThreadedStore`, which runs its operations in threads.
    """
    if isinstance(store, AsyncStore):
        return store
    # A class derived from `InMemoryStore` may block.
    return AsyncInMemoryStore.sharing(store) if type(store) is InMemoryStore else ThreadedStore(store)
