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
    """The part of `CircuitBreaker` that reads and changes circuits, and the work in background threads.

    See `BreakerBase.__init__` for the arguments.
    """

    _background = Periodic
    _notifier = Notifier
    _awaits = False

    def snapshot(self, name: str) -> Snapshot:
        """Read the state, the counts and the times of one breaker from the store.

        A breaker that the store does not have is closed, and its counts are 0.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return self._drive(self._controller.insight.snapshot(name))

    def state(self, name: str) -> State:
        """Read from the store whether a circuit is closed, open or half_open.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return self.snapshot(name).state

    def force_open(self, name: str, seconds: float) -> Transition:
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
        return self._drive(self._controller.changes.force_open(name, seconds))

    def trip(self, name: str, seconds: float) -> None:
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
        self._drive(self._controller.demands.trip(name, seconds))

    def hold(self, name: str, seconds: float) -> None:
        """Reject the calls of all processes for some seconds because the dependency asked for a wait (``Retry-After``).

        Unlike `trip`, this does not open the circuit: after the time, all calls may go ahead, without a probe. A new
        hold never shortens an earlier hold. While the store does not answer, the hold has an effect only with
        ``on_store_outage="local"``, and only in this process.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now; at least 0.
        """
        self._drive(self._controller.demands.hold(name, seconds))

    def seen(self, name: str) -> Snapshot:
        """Read the state by which the breaker would admit or reject the next call, even if the store does not answer.

        Args:
            name: The breaker's name.

        Returns:
            The breaker as the store has it. If the store does not answer, the breaker as this process has it.
        """
        return self._drive(self._controller.insight.seen(name))

    def reset(self, name: str) -> Transition:
        """Close a circuit for all processes, clear its failure count and score, and end a hold.

        The score is the evidence of a failure-rate policy. An override stays in force.

        Args:
            name: The breaker's name.

        Returns:
            The state before the operation, and the breaker after it.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
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
        return self._drive(
            self._controller.changes.set_override(name, mode, by=by, reason=reason, seconds=seconds, create=create)
        )

    def clear_override(self, name: str, *, by: str) -> Transition:
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
        return self._drive(self._controller.changes.clear_override(name, by=by))

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Read the last state changes and overrides of a breaker from the store: about eight entries, the oldest first.

        Args:
            name: The breaker's name.

        Raises:
            StoreError: The store did not answer or refused the operation; see `Store`.
        """
        return self._drive(self._controller.insight.history(name))

    def explain(self, name: str) -> str:
        """Explain in sentences which state a breaker has, since when and why, and what happens next.

        If the store does not answer, the sentences describe the last state that this process knows.

        Args:
            name: The breaker's name.

        Returns:
            English sentences for an operator.
        """
        return self._drive(self._controller.insight.explanation(name))

    def check_store(self) -> bool:
        """Check now whether the store answers and accepts writes. The breaker also checks in the background.

        If the store answers after an outage, the breaker reports to it what happened during the outage, and uses it
        again. If the store does not answer, the calls follow ``on_store_outage`` from now on.

        Returns:
            ``True`` if the store answers, accepts writes and has received the reports; otherwise ``False``.
        """
        recovery = self._controller.recovery
        return self._drive(recovery.answers()) and sansio.run(recovery.recover(), self._call_patiently)

    def close(self) -> None:
        """Stop the background work of this breaker. The store stays open.

        If the breaker is used again, the background work starts again.
        """
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
