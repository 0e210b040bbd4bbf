"""Admission and settlement of guarded calls: view, store and outage policy together, without any I/O.

Both breakers share this part. Each method that needs the store is a generator (see `cbstore_sql.runtime.sansio`), which
each breaker runs in a different way. The generators that follow the outage policy have nouns as names (`admission`,
`settlement`, `renewal`). The methods of `CallFlow`, one layer below, have verbs as names; they know one store and raise
what the store raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from cbstore_sql.breaker.flow import CallFlow, StoreCalls, nothing, soonest
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outage.detector import OutageDetector, OutagePolicy
from cbstore_sql.breaker.outage.failures import original_of, was_not_applied
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox
from cbstore_sql.breaker.outage.recovery import Recovery
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.breaker.outcomes import OutcomeClassifier
from cbstore_sql.breaker.reentrancy import PROBE_CAP, probes_of_caller
from cbstore_sql.breaker.refresh import ViewRefresh
from cbstore_sql.breaker.slow_calls import SlowCalls
from cbstore_sql.breaker.success_reports import SuccessReports
from cbstore_sql.breaker.view import View
from cbstore_sql.core.explanation import explain
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import (
    LocalPermit,
    OverrideMode,
    Permit,
    Snapshot,
    Transition,
    UnreportedPermit,
    Verdict,
)
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_name
from cbstore_sql.errors import BreakerNotStoredError, CircuitBreakerOpenError, StoreError
from cbstore_sql.events import ProbeStalled
from cbstore_sql.runtime.interrupts import from_signal_handler

if TYPE_CHECKING:
    from cbstore_sql.breaker.host_reads import HostReads

log = logging.getLogger("cbstore_sql")


class BreakerController:
    """A part of a breaker that admits calls and reports their outcomes, without I/O.

    Args:
        policy: The policy of every breaker name that is not in ``policies``.
        policies: Policies by breaker name; ``None`` means that every breaker uses ``policy``.
        outcomes: The classifier of the outcomes of calls. ``None`` makes an `OutcomeClassifier` with the default
            values.
        reopen_on_no_verdict: What happens to a probe that ends without a verdict. ``False`` frees the probe for the
            next caller, ``True`` opens the circuit again.
        on_store_outage: What happens to calls while the store does not answer: ``"local"``, ``"allow"``, ``"block"`` or
            ``"raise"``; see `BreakerBase.__init__`.
        notifier: The listeners, which receive every event; ``None`` makes a notifier without listeners.
        view: The last snapshots that this process saw; ``None`` means that every call asks the store.
        announce: A function that receives every state change in the store, before the listeners receive the event. The
            function must not wait or raise. ``None`` means no function.
        host_reads: The reads that the processes of this host share; ``None`` if this process reads for itself.

    Attributes:
        notifier: The listeners.
        outcomes: The classifier of outcomes.
        view: The view, or ``None``.
        policies: A copy of the argument ``policies``.
        fresh_permit: `View.fresh_permit`, which admits a healthy call. Without a view it returns ``None``.
        takes_success: `View.takes_success`, which keeps the success of a healthy call for a later report. Without a
            view it returns ``None``.
        refresh: The refresh of the view.
        slow_calls: The time measurement for ``slow_after``.
        successes: The reports of successes that no report of a failure has carried.
        recovery: The end of an outage of the store.
        watch: A function that is called while the store is unavailable, so that the breaker asks the store again in the
            background.
    """

    def __init__(
        self,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        policies: Mapping[str, BreakerPolicy] | None = None,
        outcomes: OutcomeClassifier | None = None,
        reopen_on_no_verdict: bool = False,
        on_store_outage: OutagePolicy = "local",
        notifier: Notifier | None = None,
        view: View | None = None,
        announce: Callable[[Transition], object] | None = None,
        host_reads: HostReads | None = None,
    ) -> None:
        self.view = view
        self.fresh_permit: Callable[[str], Permit | None] = nothing if view is None else view.fresh_permit
        self.takes_success: Callable[[Permit], object] = nothing if view is None else view.takes_success
        self.policy = policy
        self.policies = dict(policies or {})
        self.outcomes = outcomes or OutcomeClassifier()
        self.notifier = notifier or Notifier()
        self.watch: Callable[[], object] = nothing
        if view is not None:
            view.policy_for = self.policy_for
        self._full = False
        emit, clock = self.notifier.emit, monotonic if view is None else view.clock
        self.slow_calls = SlowCalls(self.policy_for, clock)
        self._outage = OutageDetector(on_store_outage, emit)
        self._outbox = Outbox(clock)
        self._local = LocalBreakers(self.policy_for, emit, reopen_on_no_verdict=reopen_on_no_verdict, clock=clock)
        self._shared = CallFlow(
            self.policy_for,
            emit,
            reopen_on_no_verdict=reopen_on_no_verdict,
            # With a view, most successes need no report.
            sends=view is None,
            clock=clock,
            note=self._note,
            forget=self._forget,
            announce=announce or nothing,
            successes_since=self._successes_since,
            claimed=self._claimed,
            accepted=self._accepted,
        )
        self._resync = Resync(self._shared, self._local, self._outbox)
        self.recovery = Recovery(
            self._local, self._outage, self._outbox, self._resync, begin_outage=self._begin_outage, clock=clock
        )
        self.successes = SuccessReports(view, self._shared, self._decides_alone)
        self.refresh = ViewRefresh(
            view,
            self._outage,
            self.notifier,
            record=self._refreshed,
            refreshed=self.successes.wake_if_due,
            begin_outage=self._begin_outage,
            host_reads=host_reads,
        )

    @property
    def is_out(self) -> bool:
        """Whether the store does not answer, as far as this process knows."""
        return self._outage.is_out

    def policy_for(self, name: str) -> BreakerPolicy:
        """Return the policy of the breaker ``name``."""
        return self.policies.get(name, self.policy)

    def admit_without_io(self, name: str) -> Permit | None:
        """Admit or refuse a call without a store call. The caller must call `fresh_permit` first.

        Args:
            name: The breaker's name.

        Returns:
            The permit if the view or the outage policy admits the call; ``None`` if the caller must ask the store.

        Raises:
            CircuitBreakerOpenError: The view shows a circuit that is open, half_open, locked open or on hold. Or the
                store is unavailable and the outage policy refuses the call.
            StoreError: The store is unavailable and the outage policy is ``"raise"``.
        """
        if self._decides_alone(name):
            return self._admit_without_store(name, probes_of_caller(name))
        # Inside a probe, only the store knows whether this call is part of that probe.
        if (
            self.view is not None
            and (seen := self.view.fresh_snapshot(name)) is not None
            and not probes_of_caller(name)
        ):
            permit = self._shared.decide(*seen)
            return None if permit is None else self.slow_calls.timed(permit)
        return None

    def settle_without_io(self, permit: Permit, verdict: Verdict) -> bool:
        """Settle a verdict without a store call, if no store call is necessary.

        No store call is necessary if the verdict changes nothing in the store, or if the store is unavailable. The
        caller must call `takes_success` first if the verdict is a success.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).

        Returns:
            Whether the verdict is settled. If ``False``, the caller must report the verdict to the store.
        """
        if isinstance(permit, UnreportedPermit) or (verdict is Verdict.NONE and not permit.is_probe):
            return True
        if self._decides_alone(permit.name):
            self._settle_without_store(permit, verdict, uncounted=True)
            return True
        return False

    def admission(self, name: str) -> StoreCalls[Permit]:
        """Admit a call by a store call; claim the probe if the open time is over.

        Args:
            name: The breaker's name.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller holds the probe. Or the store fails and the
                outage policy refuses the call.
            StoreError: The store fails and the outage policy is ``"raise"``.
        """
        # `probes_of_caller` must not run in the generator: the generator may run in a task, in another context than
        # the caller's.
        return self._admission(name, probes_of_caller(name))

    def _admission(self, name: str, probes: frozenset[str]) -> StoreCalls[Permit]:
        check_name("breaker name", name)
        try:
            return self.slow_calls.timed((yield from self._shared.admit(name, probes)))
        except StoreError as error:
            self._begin_outage(name, error)
        return self._admit_without_store(name, probes)

    def first_admission(self, names: Sequence[str]) -> StoreCalls[Permit]:
        """Admit a call through the first of several circuits that admits calls.

        Args:
            names: The breakers' names, the most preferred first; at least one.

        Raises:
            CircuitBreakerOpenError: No circuit admits the call.
            StoreError: The store fails and the outage policy is ``"raise"``.
        """
        return self._first_admission(names, frozenset[str]().union(*map(probes_of_caller, names)))

    def _first_admission(self, names: Sequence[str], probes: frozenset[str]) -> StoreCalls[Permit]:
        """Run the admission of `first_admission`.

        Args:
            names: The breakers' names, the most preferred first.
            probes: The tokens from `probes_of_caller` for all these breakers.
        """
        for name in names:
            check_name("breaker name", name)
        try:
            return self.slow_calls.timed((yield from self._shared.admit_first(names, probes)))
        except StoreError as error:
            self._begin_outage(names[0], error)
        refusals = []
        for name in names:
            try:
                return self._admit_without_store(name, probes)
            except CircuitBreakerOpenError as refused:
                refusals.append(refused)
        raise soonest(refusals, names[0])

    def hold(self, name: str, seconds: float) -> StoreCalls[None]:
        """Refuse all calls for some seconds because the dependency demanded it.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now. If the store fails, the hold has an effect only with
                the policy ``"local"`` and only in this process.
        """
        if not self._decides_alone(name):
            try:
                yield from self._shared.hold(name, seconds)
                return
            except BreakerNotStoredError as error:
                self._log_full(error)
                return
            except StoreError as error:
                self._begin_outage(name, error)
        if self._outage.policy == "local":
            self._local.hold(name, seconds)

    def settlement(self, permit: Permit, verdict: Verdict, *, or_raise: bool = False) -> StoreCalls[None]:
        """Report a verdict to the store. If the store fails, settle the verdict by the outage policy.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            or_raise: Whether to raise the error of a store that fails. ``False`` means that the outage policy applies.
        """
        carried = self._take_successes(permit, verdict)
        try:
            if isinstance(permit, LocalPermit):
                yield from self._resync.late(permit, verdict)
            else:
                yield from self._shared.settle(permit, verdict, carried)
                if verdict is Verdict.SUCCESS and not self._local.is_settled:
                    self._local.succeeded(permit.name)
        except StoreError as error:
            if or_raise:
                raise original_of(error) from error.__cause__
            self._settle_after(error, permit, verdict, carried)

    def _successes_since(self, name: str, since: float) -> int:
        return 0 if self.view is None else self.view.successes_since(name, since)

    def _take_successes(self, permit: Permit, verdict: Verdict) -> int:
        """Remove and return the number of the unreported successes that the report of ``verdict`` carries.

        Args:
            permit: The permit of the report.
            verdict: The verdict that the report carries.
        """
        if self.view is None or verdict is Verdict.NONE or isinstance(permit, LocalPermit):
            return 0
        return len(self.view.take_successes(permit))

    def renewal(self, permit: Permit) -> StoreCalls[bool]:
        """Extend the lease of a probe.

        Args:
            permit: The permit of the probe's owner.

        Returns:
            Whether the caller still owns the probe; ``True`` also if the store is unavailable.
        """
        if isinstance(permit, LocalPermit):
            return self._local.renew(permit)
        if self._outage.is_out or isinstance(permit, UnreportedPermit):
            return True
        try:
            return (yield from self._shared.renew(permit))
        except StoreError as error:
            self._begin_outage(permit.name, error)
            return True

    def trip(self, name: str, seconds: float) -> StoreCalls[None]:
        """Open a circuit because the dependency demanded it.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now. If the store fails, the circuit opens only with the policy
                ``"local"`` and only in this process.
        """
        if not self._decides_alone(name):
            try:
                yield from self._shared.force_open(name, seconds)
                return
            except BreakerNotStoredError as error:
                self._log_full(error)
                return
            except StoreError as error:
                self._begin_outage(name, error)
        if self._outage.policy == "local":
            self._local.force_open(name, seconds)

    def seen(self, name: str) -> StoreCalls[Snapshot]:
        """Return the snapshot on which the breaker would admit or refuse the next call.

        Args:
            name: The breaker's name.

        Returns:
            The store's snapshot if the store answers; otherwise the snapshot of the local breaker of this process.
        """
        if not self._decides_alone(name):
            try:
                return (yield from self._shared.read(name))
            except StoreError as error:
                self._begin_outage(name, error)
        return self._local.read(name)

    def force_open(self, name: str, seconds: float) -> StoreCalls[Transition]:
        """Open a circuit; see `Store.force_open`.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now.
        """
        return self._shared.force_open(name, seconds)

    def reset(self, name: str) -> StoreCalls[Transition]:
        """Close a circuit and clear its failure count, score and hold; see `Store.reset`."""
        return self._shared.reset(name)

    def set_override(
        self, name: str, mode: OverrideMode, *, by: str, reason: str, seconds: float | None, create: bool
    ) -> StoreCalls[Transition]:
        """Set an override of a breaker in every process; see `Store.set_override` for the arguments."""
        return self._shared.set_override(name, mode, by=by, reason=reason, seconds=seconds, create=create)

    def clear_override(self, name: str, *, by: str) -> StoreCalls[Transition]:
        """Remove the override of a breaker.

        Args:
            name: The breaker's name.
            by: The person or program that removes the override.
        """
        return self._shared.clear_override(name, by)

    def history(self, name: str) -> StoreCalls[tuple[HistoryEntry, ...]]:
        """Read the last state changes and overrides of a breaker."""
        check_name("breaker name", name)
        return self._shared.history(name)

    def explanation(self, name: str) -> StoreCalls[str]:
        """Return plain sentences that explain the state of a breaker and what happens next.

        If the store fails, the sentences describe the last state that this process knows.

        Args:
            name: The breaker's name.
        """
        snapshot = yield from self.seen(name)
        history: tuple[HistoryEntry, ...] = ()
        if not self._decides_alone(name):
            try:
                history = yield from self._shared.history(name)
            except StoreError as error:
                self._begin_outage(name, error)
        sentences = explain(snapshot, history)
        if self._decides_alone(name):
            sentences.append("The store does not answer: this is what this process knows and does by itself.")
        return " ".join(sentences)

    def snapshot(self, name: str) -> StoreCalls[Snapshot]:
        """Return the snapshot of one breaker, which this method reads from the store."""
        check_name("breaker name", name)
        return self._shared.read(name)

    def probe_stalled(self, permit: Permit) -> None:
        """Log and emit that this process stopped the renewals of a probe's lease, because the call showed no progress.

        Args:
            permit: The permit of the probe's owner.
        """
        log.warning("circuit breaker %r: its probe showed no progress for %d leases", permit.name, PROBE_CAP)
        self.notifier.emit(ProbeStalled(permit.name, permit))

    def log_failed_report(self, error: Exception) -> None:
        """Log an error that must not replace the outcome of a guarded call.

        Raises:
            Exception: ``error`` itself, if a signal handler raised it. Such an error is meant for the program, not for
                the report that the signal interrupted.
        """
        if from_signal_handler(error):
            raise error
        log.error("an outcome could not be reported: %s", type(error).__name__)

    def _log_full(self, error: BreakerNotStoredError) -> None:
        """Log once that the namespace is full. The failures of all further breakers meet the same error."""
        if not self._full:
            self._full = True
            log.error("failures of further breakers are not counted: %s", error)

    def _decides_alone(self, name: str) -> bool:
        """Return whether the calls of a breaker follow the outage policy at the moment, without the store."""
        return self._outage.is_out or self._local.is_open_here(name)

    def _begin_outage(self, name: str, error: StoreError) -> None:
        """Begin or continue an outage: copy the view to the local breakers, and watch the store.

        Args:
            name: The name of the breaker whose store call failed.
            error: The error of the store.
        """
        if self.view is not None and not self._outage.is_out:
            # This includes the snapshots that the view has from push.
            for snapshot, asked_at in self.view.snapshots():
                self._local.note(snapshot, asked_at)
            self._keep_successes(self.view)
            self.view.clear()
            self.takes_success = self._takes_success_after_outage
        self._outage.mark_down(name, error)
        self.watch()

    def _takes_success_after_outage(self, permit: Permit) -> bool:
        """Keep a success as `View.takes_success` does, and clear older local failures.

        The success clears the failures of the local breaker that are not in the store yet.
        """
        view = self.view
        if view is None or not view.takes_success(permit):
            return False
        if not self._local.is_settled:
            self._local.succeeded(permit.name)
        elif not self._outage.is_degraded:
            self.takes_success = view.takes_success
        return True

    def _keep_successes(self, view: View) -> None:
        """Move the unreported successes of the view to the local breakers, if the outage policy is ``"local"``."""
        for permit in view.unreported() if self._outage.policy == "local" else ():
            successes = len(view.take_successes(permit))
            if successes:
                self._local.settle(permit, Verdict.SUCCESS, uncounted=False, carried=successes - 1)

    def _claimed(self, name: str, token: str) -> None:
        self._outbox.claimed(name, token)
        self.watch()

    def _accepted(self, name: str) -> None:
        self.recovery.accepted(name)

    def _settle_after(self, error: StoreError, permit: Permit, verdict: Verdict, carried: int) -> None:
        """Settle a verdict whose report failed.

        Args:
            error: The error of the store.
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            carried: The number of earlier successes that the same report carried.
        """
        if isinstance(error, BreakerNotStoredError):
            self._log_full(error)
            return
        self._begin_outage(permit.name, error)
        uncounted = was_not_applied(error)
        self._settle_without_store(permit, verdict, uncounted=uncounted, carried=carried if uncounted else 0)

    def _admit_without_store(self, name: str, probes: frozenset[str]) -> Permit:
        """Admit or refuse a call by the outage policy.

        Args:
            name: The breaker's name.
            probes: The tokens from `probes_of_caller`.
        """
        check_name("breaker name", name)
        self.watch()
        if self._outage.policy == "local":
            return self.slow_calls.timed(self._local.admit(name, probes))
        if self._outage.policy != "allow":
            self._outage.refuse(name)
        return UnreportedPermit(name, 0)

    def _settle_without_store(self, permit: Permit, verdict: Verdict, *, uncounted: bool, carried: int = 0) -> None:
        self._outbox.settled(permit, verdict)
        if self._outage.policy == "local":
            self._local.settle(permit, verdict, uncounted=uncounted, carried=carried)
        if not self._outage.is_out:
            # The store answers again by now, so this outcome must be reported in the background too.
            self.watch()

    def _note(self, snapshot: Snapshot, asked_at: float, *, refreshed: bool = False) -> None:
        self._local.note(snapshot, asked_at)
        if self.view is not None and not self._decides_alone(snapshot.name):
            self.view.record(snapshot, asked_at, refreshed=refreshed)

    def _refreshed(self, snapshot: Snapshot, asked_at: float) -> None:
        self._shared.follow_score(snapshot, asked_at)
        self._note(snapshot, asked_at, refreshed=True)

    def _forget(self, name: str) -> None:
        if self.view is not None:
            self.view.forget(name)
