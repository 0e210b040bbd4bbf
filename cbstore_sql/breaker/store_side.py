"""The store's side of a synchronous breaker: store calls, background work, and methods to read or change circuits."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from cbstore_sql.breaker.base import BreakerBase
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outage.failures import raise_store_error
from cbstore_sql.breaker.outage.recovery import HAND_OVER_TIMEOUT
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import OverrideMode, Snapshot, State, Transition
from cbstore_sql.deadline import within
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.runtime.periodic import Periodic
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.batching import combining
from cbstore_sql.stores.call import StoreCall, StoreCalls
from cbstore_sql.stores.timeout import TimeoutWorkers

T = TypeVar("T")


class StoreSide(BreakerBase[Store, Store, Periodic]):
    """Everything of `CircuitBreaker` that is not a guarded call: reading and changing circuits, and work in threads.

    See `BreakerBase.__init__` for the arguments.
    """

    _background = Periodic
    _notifier = Notifier
    _awaits = False

    def snapshot(self, name: str) -> Snapshot:
        """Read one breaker from the store.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self._controller.insight.snapshot(name))

    def state(self, name: str) -> State:
        """Read the state of one breaker from the store; see `snapshot`.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: See `Store`.
        """
        return self.snapshot(name).state

    def force_open(self, name: str, seconds: float) -> Transition:
        """Open a circuit for at least some time; see `Store.force_open`.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. If the circuit already stays open for longer, the end of the
                open time does not change.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self._controller.changes.force_open(name, seconds))

    def trip(self, name: str, seconds: float) -> None:
        """Open a circuit for at least some seconds because the dependency demanded it (``Retry-After``).

        If the store does not answer, `trip` follows ``on_store_outage``, unlike `force_open`. With ``"local"`` the
        circuit opens in this process only. With the other values, the method has no effect.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. If the circuit already stays open for longer, the end of the
                open time does not change.

        Raises:
            InvalidPolicyError: ``seconds`` is negative or not a finite number.
        """
        self._drive(self._controller.demands.trip(name, seconds))

    def hold(self, name: str, seconds: float) -> None:
        """Refuse the calls of all processes for some seconds because the dependency demanded it (``Retry-After``).

        The state of the circuit stays the same. A new hold never shortens an earlier hold. While the store does not
        answer, a hold has an effect only in this process and only with ``on_store_outage="local"``. With the other
        values of ``on_store_outage``, such a hold has no effect.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now; at least 0.
        """
        self._drive(self._controller.demands.hold(name, seconds))

    def seen(self, name: str) -> Snapshot:
        """Return the snapshot on which the breaker would admit or refuse the next call.

        Args:
            name: The breaker's name.

        Returns:
            The store's snapshot if the store answers; otherwise the snapshot of the local breaker of this process.
        """
        return self._drive(self._controller.insight.seen(name))

    def reset(self, name: str) -> Transition:
        """Close a circuit and clear its failure count, score and hold; see `Store.reset`.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self._controller.changes.reset(name))

    def set_override(
        self,
        name: str,
        mode: OverrideMode,
        *,
        by: str,
        reason: str,
        seconds: float | None = None,
        create: bool = False,
    ) -> Transition:
        """Set an override of a breaker in every process; see `Store.set_override`.

        Every other process obeys the override after at most its ``max_staleness`` seconds, or at once with ``push``. In
        an outage of the store, each process obeys the last override that it knows until the override expires.

        Args:
            name: The breaker's name.
            mode: ``"open"`` refuses every call. ``"closed"`` admits every call. ``"shadow"`` admits every call and
                emits an event for each call that the breaker would have refused.
            by: The person or program that sets the override.
            reason: Why the override is set.
            seconds: The duration of the override in seconds; ``None`` means until `clear_override`.
            create: Whether to create the breaker if it does not exist.

        Raises:
            UnknownBreakerError: The breaker does not exist, and ``create`` is false.
            StoreError: See `Store`.
        """
        return self._drive(
            self._controller.changes.set_override(name, mode, by=by, reason=reason, seconds=seconds, create=create)
        )

    def clear_override(self, name: str, *, by: str) -> Transition:
        """Remove the override of a breaker. After that, calls follow the state of the circuit again.

        Args:
            name: The breaker's name.
            by: The person or program that removes the override.

        Raises:
            UnknownBreakerError: The breaker does not exist.
            StoreError: See `Store`.
        """
        return self._drive(self._controller.changes.clear_override(name, by=by))

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Return the last state changes and overrides of a breaker: about eight entries, the oldest first.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self._controller.insight.history(name))

    def explain(self, name: str) -> str:
        """Return plain sentences that explain the state of a breaker, when the state began, and what happens next.

        While the store does not answer, the sentences describe the last state that this process knows.

        Args:
            name: The breaker's name.
        """
        return self._drive(self._controller.insight.explanation(name))

    def check_store(self) -> bool:
        """Check now whether the store answers and accepts writes, and begin or end an outage.

        If the store answers after an outage, the breaker reports the outcomes of the calls during the outage to the
        store, and the outage ends. If the store does not answer, an outage begins.

        Returns:
            Whether the store answers and accepts writes.
        """
        recovery = self._controller.recovery
        return self._drive(recovery.answers()) and sansio.run(recovery.recover(), self._call_patiently)

    def close(self) -> None:
        """Stop the background work of this breaker. The store stays open, and the breaker can be used again."""
        self._recovery.close()
        if self._refresher is not None:
            self._refresher.close()
        self._reporter.close()
        if self._push is not None:
            self._push.close()

    def _prepare(self, store: Store, flush_interval: float) -> Store:
        used = combining(store, flush_interval)
        self._workers = None if self._timeout is None or used.keeps_deadlines else TimeoutWorkers()
        return used

    def _recover(self) -> bool:
        return not self.check_store() or self._controller.recovery.has_work

    def _refresh(self) -> bool:
        """Refresh the view; return whether any breaker is in use."""
        return self._drive(self._controller.refresh.run())

    def _report_successes(self) -> bool:
        """Send the unreported successes. The report of each breaker has a separate ``store_timeout``."""
        try:
            for permit in self._controller.successes.due():
                self._drive(self._controller.successes.report(permit))
        except Exception as failed:  # noqa: BLE001 - this thread has no caller to raise to
            self._controller.notifier.log_failed_report(failed)
        return False

    def _drive(self, calls: StoreCalls[T]) -> T:
        """Run a generator of store calls to its end, within one ``store_timeout``."""
        with within(self._timeout):
            return sansio.run(calls, self._call_store)

    def _call_patiently(self, call: StoreCall) -> Any:
        """Make one store call of the reports after an outage, within `HAND_OVER_TIMEOUT` seconds."""
        with within(HAND_OVER_TIMEOUT):
            return self._call_store(call)

    def _call_store(self, call: StoreCall) -> Any:
        """Make one store call. Every error of the store becomes a `StoreError`, except an error about an argument."""
        try:
            operation = getattr(self.store, call.operation)
            if self._workers is None:
                return operation(*call.arguments, **call.keywords)
            abandoned = self._release_late if call.operation == "claim_probe" else None
            do = partial(operation, *call.arguments, **call.keywords)
            return self._workers.carry_out(call, do, abandoned=abandoned)
        except Exception as error:
            if from_signal_handler(error):
                raise
            raise_store_error(call, error)

    def _release_late(self, claim: Transition | None) -> None:
        """Release a probe that this process won after the caller had stopped waiting for the store."""
        if claim is not None:
            # If this fails too, the recovery finds the probe by its token.
            with within(HAND_OVER_TIMEOUT), suppress(Exception):
                self.store.release_probe(claim.permit)
