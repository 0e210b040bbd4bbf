"""The asynchronous form of `cbstore_sql.stores.batching`: failures that arrive together become one write."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.runtime.fork import after_fork_in_child
from cbstore_sql.runtime.tasks import in_background
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.batching import Batch, ContentionTracker, combines, kind_of, without_state_change


class _AsyncBatch(Batch):
    def __init__(self, command: Command, ahead: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(command, ahead)
        self.loop = loop
        self.full = asyncio.Event()
        self.answer: asyncio.Task[Transition | None] | None = None


class AsyncCombiningStore(AsyncStore):
    """An asynchronous store that passes all operations to another store, and combines failures that arrive together.

    A waiting failure is written even if the task of its caller is cancelled.

    Args:
        store: The store that carries out the operations. `close` of this object closes that store.
        flush_interval: Seconds for which a failure waits for more failures if others of its breaker are being written;
            at least 0.0001, usually 0.001.

    Raises:
        InvalidPolicyError: ``flush_interval`` is out of range.
    """

    def __init__(self, store: AsyncStore, flush_interval: float) -> None:
        super().__init__(store.namespace)
        self.reads_locally = store.reads_locally
        self.keeps_deadlines = store.keeps_deadlines
        self._store = store
        self._interval = check_seconds("flush_interval", flush_interval, minimum=0.0001)
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        """Forget all waiting callers in a forked process, because the parent's tasks do not run there."""
        self._company = ContentionTracker()
        self._open: dict[Hashable, _AsyncBatch] = {}

    async def close(self) -> None:
        """Close the store to which this object passes its operations."""
        await self._store.close()

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await self._store._read(name, now)

    async def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        return await self._store._read_many(names, now)

    async def _check_writable(self) -> None:
        await self._store._check_writable()

    async def _apply(self, command: Command) -> Transition | None:
        if not combines(command):
            return await self._store._apply(command)
        if not self._company.begin_alone(command):
            return await self._apply_together(command)
        try:
            return await self._store._apply(command)
        finally:
            self._company.end_alone(command)

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send a success without waiting, if the other store can; see `Store.send_success`."""
        return self._store.send_success(permit, policy)

    async def _apply_together(self, command: Command) -> Transition | None:
        loop = asyncio.get_running_loop()
        kind = (id(loop), kind_of(command))
        batch = self._open.get(kind)
        # A batch of an event loop that has ended may remain, and a later loop may have the same id.
        if batch is None or batch.loop is not loop:
            batch = _AsyncBatch(command, self._company.ahead_of(command), loop)
        batch.add(command)
        if batch.is_full:
            batch.full.set()
        leads = batch.answer is None
        if batch.answer is None:
            self._open[kind] = batch
            batch.answer = in_background(self._flush(kind, batch))
        transition = await asyncio.shield(batch.answer)
        return transition if leads else without_state_change(transition)

    async def _flush(self, kind: Hashable, batch: _AsyncBatch) -> Transition | None:
        try:
            await asyncio.wait_for(batch.full.wait(), self._interval)
        except asyncio.TimeoutError:
            pass
        finally:
            if self._open.get(kind) is batch:
                del self._open[kind]
            self._company.waited(batch)
        return await self._store._apply(batch.command())

    async def _history(self, name: str) -> str:
        return await self._store._history(name)

    async def _delete(self, name: str) -> None:
        await self._store._delete(name)


def async_combining(store: AsyncStore, flush_interval: float) -> AsyncStore:
    """Return an asynchronous store that combines failures that arrive together, or the given store itself.

    Args:
        store: The store that carries out the operations.
        flush_interval: Seconds for which a failure waits for more failures. 0 means that no failure waits; then the
            function returns ``store`` itself.
    """
    return AsyncCombiningStore(store, flush_interval) if flush_interval > 0 else store
