"""The store's side of an asynchronous breaker; see `cbstore_sql.breaker.store_side`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar

from cbstore_sql.breaker.base import BreakerBase
from cbstore_sql.breaker.notifier_async import AsyncNotifier
from cbstore_sql.breaker.outage.failures import raise_store_error
from cbstore_sql.breaker.outage.recovery import HAND_OVER_TIMEOUT
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import OverrideMode, Snapshot, State, Transition
from cbstore_sql.deadline import within
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.runtime.periodic_async import AsyncPeriodic
from cbstore_sql.runtime.tasks import run_to_completion
from cbstore_sql.runtime.workers import DaemonWorkers
from cbstore_sql.runtime.workers_async import run_in_thread
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.batching_async import async_combining
from cbstore_sql.stores.call import StoreCall, StoreCalls
from cbstore_sql.stores.threaded import as_async
from cbstore_sql.stores.timeout_async import by_deadline

T = TypeVar("T")


class AsyncStoreSide(BreakerBase[AsyncStore | Store, AsyncStore, AsyncPeriodic]):
    """Everything of `AsyncCircuitBreaker` that is not a guarded call: reading and changing circuits, and work in tasks.

    See `BreakerBase.__init__` for the arguments.
    """

    _background = AsyncPeriodic
    _notifier = AsyncNotifier
    _awaits = True

    async def snapshot(self, name: str) -> Snapshot:
        """Read one breaker from the store; see `CircuitBreaker.snapshot`."""
        return await run_to_completion(self._drive(self._controller.insight.snapshot(name)))

    async def state(self, name: str) -> State:
        """Read the state of one breaker from the store; see `CircuitBreaker.state`."""
        return (await self.snapshot(name)).state

    async def force_open(self, name: str, seconds: float) -> Transition:
        """Open a circuit for at least ``seconds`` seconds from now; see `CircuitBreaker.force_open`."""
        return await run_to_completion(self._drive(self._controller.changes.force_open(name, seconds)))

    async def trip(self, name: str, seconds: float) -> None:
        """Open a circuit for at least ``seconds`` seconds, as the dependency demanded; see `CircuitBreaker.trip`."""
        await run_to_completion(self._drive(self._controller.demands.trip(name, seconds)))

    async def hold(self, name: str, seconds: float) -> None:
        """Refuse the calls of all processes for some seconds; see `CircuitBreaker.hold`.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now; at least 0.
        """
        await run_to_completion(self._drive(self._controller.demands.hold(name, seconds)))

    async def seen(self, name: str) -> Snapshot:
        """Return the snapshot on which the breaker would admit or refuse the next call; see `CircuitBreaker.seen`."""
        return await run_to_completion(self._drive(self._controller.insight.seen(name)))

    async def reset(self, name: str) -> Transition:
        """Close a circuit and clear its failure count, score and hold; see `CircuitBreaker.reset`."""
        return await run_to_completion(self._drive(self._controller.changes.reset(name)))

    async def set_override(
        self,
        name: str,
        mode: OverrideMode,
        *,
        by: str,
        reason: str,
        seconds: float | None = None,
        create: bool = False,
    ) -> Transition:
        """Set an override of a breaker in every process; see `CircuitBreaker.set_override`."""
        return await run_to_completion(
            self._drive(
                self._controller.changes.set_override(name, mode, by=by, reason=reason, seconds=seconds, create=create)
            )
        )

    async def clear_override(self, name: str, *, by: str) -> Transition:
        """Remove the override of a breaker; see `CircuitBreaker.clear_override`."""
        return await run_to_completion(self._drive(self._controller.changes.clear_override(name, by=by)))

    async def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Return the last state changes and overrides of a breaker; see `CircuitBreaker.history`."""
        return await run_to_completion(self._drive(self._controller.insight.history(name)))

    async def explain(self, name: str) -> str:
        """Return plain sentences that explain the state of a breaker; see `CircuitBreaker.explain`."""
        return await run_to_completion(self._drive(self._controller.insight.explanation(name)))

    async def check_store(self) -> bool:
        """Check now whether the store answers and accepts writes; see `CircuitBreaker.check_store`."""
        return await run_to_completion(self._check_store())

    async def close(self) -> None:
        """Stop the background work of this breaker; the store stays open. See `CircuitBreaker.close`."""
        await self._recovery.close()
        if self._refresher is not None:
            await self._refresher.close()
        await self._reporter.close()
        if self._push is not None:
            await run_in_thread(DaemonWorkers("cbstore-close", 1), self._push.close)
        if isinstance(self._controller.notifier, AsyncNotifier):
            await self._controller.notifier.drain()

    def _prepare(self, store: AsyncStore | Store, flush_interval: float) -> AsyncStore:
        used = async_combining(as_async(store), flush_interval)
        self._abandons = self._timeout is not None and not used.keeps_deadlines
        return used

    async def _refresh(self) -> bool:
        return await self._drive(self._controller.refresh.run())

    async def _check_store(self) -> bool:
        recovery = self._controller.recovery
        return await self._drive(recovery.answers()) and await sansio.run_async(
            recovery.recover(), self._call_patiently
        )

    async def _recover(self) -> bool:
        return not await self.check_store() or self._controller.recovery.has_work

    async def _report_successes(self) -> bool:
        """Send the successes that no report of a failure has carried; see `CircuitBreaker._report_successes`."""
        try:
            for permit in self._controller.successes.due():
                await self._drive(self._controller.successes.report(permit))
        except Exception as failed:  # noqa: BLE001 - this task has no caller to raise to
            self._controller.notifier.log_failed_report(failed)
        return False

    async def _drive(self, calls: StoreCalls[T]) -> T:
        """Run a generator of store calls to its end, within one ``store_timeout``."""
        with within(self._timeout):
            return await sansio.run_async(calls, self._call_store)

    async def _call_patiently(self, call: StoreCall) -> Any:
        """Make one store call of the reports after an outage, within `HAND_OVER_TIMEOUT` seconds."""
        with within(HAND_OVER_TIMEOUT):
            return await self._call_store(call)

    async def _call_store(self, call: StoreCall) -> Any:
        """Make one store call. Every error of the store becomes a `StoreError`, except an error about an argument."""
        try:
            operation = getattr(self.store, call.operation)(*call.arguments, **call.keywords)
            if not self._abandons:
                return await operation
            abandoned = self._release_late if call.operation == "claim_probe" else None
            return await by_deadline(call, operation, abandoned=abandoned)
        except Exception as error:
            if from_signal_handler(error):
                raise
            raise_store_error(call, error)

    async def _release_late(self, claim: Transition | None) -> None:
        """Release a probe that this process won after the caller had stopped waiting for the store."""
        if claim is not None:
            # If this fails too, the recovery finds the probe by its token.
            with within(HAND_OVER_TIMEOUT), suppress(Exception):
                await self.store.release_probe(claim.permit)
