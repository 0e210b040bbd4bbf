"""An asynchronous call that is cancelled while it is being admitted keeps no probe."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, State
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.stores.memory import AsyncInMemoryStore
from tests.waiting import PATIENCE

POLICY = BreakerPolicy(recovery_timeout=60.0, probe_lease=3600.0)


class Stopping(AsyncInMemoryStore):
    """A store that stops in one operation until the test lets it go on.

    Args:
        operation: The operation: ``"read"``, or the name of a command.
    """

    reads_locally = False

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.stops_in = operation
        self.reached, self.goes_on = asyncio.Event(), asyncio.Event()

    async def _read(self, name: str, now: float | None) -> Snapshot:
        await self._stop("read")
        return await super()._read(name, now)

    async def _apply(self, command: Command) -> Transition | None:
        transition = await super()._apply(command)
        await self._stop(command.operation)
        return transition

    async def _stop(self, operation: str) -> None:
        if operation == self.stops_in:
            self.reached.set()
            await self.goes_on.wait()


async def cancel_admission(store: Stopping, admission: Any) -> None:
    """Cancel an admission in the operation in which the store stops; then let the store go on."""
    task = asyncio.ensure_future(admission)
    await asyncio.wait_for(store.reached.wait(), PATIENCE)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    store.stops_in = ""
    store.goes_on.set()


@pytest.mark.parametrize("several", [False, True])
def test_a_probe_that_was_won_after_the_caller_left_is_released(several: bool) -> None:
    async def main() -> None:
        store = Stopping("claim_probe")
        async with AsyncCircuitBreaker(store, POLICY, max_staleness=0) as breaker:
            await store.force_open("b", 0.0)
            await cancel_admission(store, breaker.admit_first(["b"]) if several else breaker.admit("b"))
            for _ in range(20):  # turns of the event loop; the recovery, which also releases probes, comes later
                await asyncio.sleep(0)
            assert (await store.read("b")).probe_token == ""
            assert (await store.read("b")).state is State.HALF_OPEN

    asyncio.run(main())


def test_an_admission_that_is_cancelled_while_it_reads_changes_nothing() -> None:
    async def main() -> None:
        store = Stopping("read")
        async with AsyncCircuitBreaker(store, POLICY, max_staleness=0) as breaker:
            await store.force_open("b", 0.0)
            await cancel_admission(store, breaker.admit("b"))
            assert (await store.read("b")).state is State.OPEN
            assert not breaker._controller.is_out

    asyncio.run(main())
