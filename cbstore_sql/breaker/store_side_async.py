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
    """The part of `AsyncCircuitBreaker` that reads and changes circuits, and the work in background tasks.

    See `BreakerBase.__init__` for the arguments.
    """

    _background = AsyncPeriodic
    _notifier = AsyncNotifier
    _awaits = True

    async def snapshot(self, name: str) -> Snapshot:
        """Read the state, the counts and the times of one breaker from the store.

        A breaker that the store does not have is closed, and its counts are 0.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return await run_to_completion(self._drive(self._controller.insight.snapshot(name)))

    async def state(self, name: str) -> State:
        """Read from the store whether a circuit is closed, open or half_open.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return (await self.snapshot(name)).state

    async def force_open(self, name: str, seconds: float) -> Transition:
        """Open a circuit for all processes, for at least some seconds from now.

        After this time, one caller may make the probe, as after any opening.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. If the circuit already stays open for longer, the end of the
                open time does not change.

        Returns:
            The state before the operation, and the breaker after it.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return await run_to_completion(self._drive(self._controller.changes.force_open(name, seconds)))

    async def trip(self, name: str, seconds: float) -> None:
        """Open a circuit for all processes because the dependency asked for a wait, such as with ``Retry-After``.

        `force_open` is for operators and raises an error if the store does not answer. This method follows
        ``on_store_outage`` instead: with ``"local"``, the circuit opens in this process only; with the other values,
        this method has no effect.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. If the circuit already stays open for longer, the end of the
                open time does not change.

        Raises:
            InvalidPolicyError: ``seconds`` is negative or not a finite number.
        """
        await run_to_completion(self._drive(self._controller.demands.trip(name, seconds)))

    async def hold(self, name: str, seconds: float) -> None:
        """Reject the calls of all processes for some seconds because the dependency asked for a wait (``Retry-After``).

        Unlike `trip`, this does not open the circuit: after the time, all calls may go ahead, without a probe. A new
        hold never shortens an earlier hold. While the store does not answer, the hold has an effect only with
        ``on_store_outage="local"``, and only in this process.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now; at least 0.
        """
        await run_to_completion(self._drive(self._controller.demands.hold(name, seconds)))

    async def seen(self, name: str) -> Snapshot:
        """Read the state by which the breaker would admit or reject the next call, even if the store does not answer.

        Args:
            name: The breaker's name.

        Returns:
            The breaker as the store has it. If the store does not answer, the breaker as this process has it.
        """
        return await run_to_completion(self._drive(self._controller.insight.seen(name)))

    async def reset(self, name: str) -> Transition:
        """Close a circuit for all processes, clear its failure count and score, and end a hold.

        The score is the evidence of a failure-rate policy. An override stays in force.

        Args:
            name: The breaker's name.

        Returns:
            The state before the operation, and the breaker after it.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
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
        """Decide by hand, for all processes, what happens to the calls of a breaker: set an override.

        The override replaces the state of the circuit while it is in force. Every other process obeys the override
        after at most its ``max_staleness`` seconds, or at once with ``push``. While the store does not answer, each
        process obeys the last override that it knows, until the override expires.

        Args:
            name: The breaker's name.
            mode: ``"open"`` rejects every call. ``"closed"`` admits every call. ``"shadow"`` admits every call and
                emits an event for each call that the breaker would have rejected.
            by: The person or program that sets the override.
            reason: Why the override is set.
            seconds: The duration of the override in seconds; ``None`` means until `clear_override`.
            create: Whether to create the breaker if it does not exist.

        Returns:
            The state before the operation, and the breaker after it.

        Raises:
            UnknownBreakerError: The breaker does not exist, and ``create`` is false.
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return await run_to_completion(
            self._drive(
                self._controller.changes.set_override(name, mode, by=by, reason=reason, seconds=seconds, create=create)
            )
        )

    async def clear_override(self, name: str, *, by: str) -> Transition:
        """Remove the override of a breaker, so that calls follow the state of the circuit again.

        Args:
            name: The breaker's name.
            by: The person or program that removes the override.

        Returns:
            The state before the operation, and the breaker after it.

        Raises:
            UnknownBreakerError: The breaker does not exist.
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return await run_to_completion(self._drive(self._controller.changes.clear_override(name, by=by)))

    async def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Read the last state changes and overrides of a breaker from the store: about eight entries, the oldest first.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return await run_to_completion(self._drive(self._controller.insight.history(name)))

    async def explain(self, name: str) -> str:
        """Explain in sentences which state a breaker has, since when and why, and what happens next.

        If the store does not answer, the sentences describe the last state that this process knows.

        Args:
            name: The breaker's name.

        Returns:
            English sentences for an operator.
        """
        return await run_to_completion(self._drive(self._controller.insight.explanation(name)))

    async def check_store(self) -> bool:
        """Check now whether the store answers and accepts writes. The breaker also checks in the background.

        If the store answers after an outage, the breaker reports to it what happened during the outage, and uses it
        again. If the store does not answer, the calls follow ``on_store_outage`` from now on.

        Returns:
            ``True`` if the store answers, accepts writes and has received the reports; otherwise ``False``.
        """
        return await run_to_completion(self._check_store())

    async def close(self) -> None:
        """Stop the background work of this breaker. The store stays open.

        If the breaker is used again, the background work starts again.
        """
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

    async def _drive_admission(self, calls: StoreCalls[T]) -> T:
        """Run the generator of an admission to its end, within one ``store_timeout``."""
        with within(self._timeout):
            return await sansio.run_async(calls, self._call_for_admission)

    async def _call_for_admission(self, call: StoreCall) -> Any:
        """Make one store call of an admission. If the caller is cancelled, a read ends, and a claim runs to its end."""
        if call.operation != "claim_probe":
            return await self._call_store(call)  # a task would cost more than the read
        return await run_to_completion(self._call_store(call), abandoned=self._release_late)

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
