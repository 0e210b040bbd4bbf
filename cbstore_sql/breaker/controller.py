"""Admission of guarded calls: view, store and outage policy together, without any I/O.

Both breakers share the controller and its parts. Each method that needs the store is a generator (see
`cbstore_sql.runtime.sansio`), which each breaker runs in a different way. The admission, the settling and the renewal
follow the outage policy. `CallFlow`, one layer below, knows one store and raises what the store raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from cbstore_sql.breaker.decision import refusal
from cbstore_sql.breaker.demands import Demands
from cbstore_sql.breaker.flow import CallFlow, nothing, soonest
from cbstore_sql.breaker.insight import Insight
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outage.calls import OutageCalls
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.breaker.outage.recovery import Recovery
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.breaker.outcomes import OutcomeClassifier
from cbstore_sql.breaker.reentrancy import probes_of_caller
from cbstore_sql.breaker.refresh import ViewRefresh
from cbstore_sql.breaker.settling import Settling
from cbstore_sql.breaker.slow_calls import SlowCalls
from cbstore_sql.breaker.success_reports import SuccessReports
from cbstore_sql.breaker.view import View
from cbstore_sql.core.admission import open_wait
from cbstore_sql.core.model import LocalPermit, Permit, Snapshot, State, Transition, UnreportedPermit
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_name
from cbstore_sql.errors import CircuitBreakerOpenError, StoreError
from cbstore_sql.events import Rejected
from cbstore_sql.stores.call import StoreCalls

if TYPE_CHECKING:
    from cbstore_sql.breaker.host_reads import HostReads


class BreakerController:
    """The part of a breaker that admits calls, in the same way for both breakers, and makes the other shared parts.

    It chooses who decides about a call: the view (this process's copy of the shared state), the store, or the outage
    policy. Methods that need the store return a generator of store calls, and the breaker runs it. So this class does
    no I/O.

    Args:
        policy: The policy of every breaker name that is not in ``policies``.
        policies: Policies by breaker name; ``None`` means that every breaker uses ``policy``.
        outcomes: The classifier of the outcomes of calls. ``None`` makes an `OutcomeClassifier` with the default
            values.
        reopen_on_no_verdict: What happens to a probe that ends neither as a success nor as a failure. ``False`` lets
            the next caller make the probe, ``True`` opens the circuit again.
        on_store_outage: What happens to calls while the store does not answer: ``"local"``, ``"allow"``, ``"block"`` or
            ``"raise"``; see `BreakerBase.__init__`.
        notifier: The listeners, which receive every event; ``None`` makes a notifier without listeners.
        view: The view of this process; ``None`` means that every call asks the store.
        announce: A function that receives every state change in the store, before the listeners receive the event. The
            function must not wait or raise. ``None`` means no function.
        host_reads: The object through which the processes of this host share their reads; ``None`` if this process
            reads for itself.

    Attributes:
        notifier: The listeners.
        outcomes: The classifier of outcomes.
        view: The view, or ``None``.
        policies: A copy of the argument ``policies``.
        fresh_permit: `View.fresh_permit`, which admits a healthy call. Without a view it returns ``None``.
        takes_success: `View.takes_success`, which keeps the success of a healthy call for a later report. Without a
            view it returns ``None``.
        changes: The object that makes changes at once, for an operator.
        demands: The object that makes changes because the dependency asked for a wait. The outage policy applies to
            them.
        insight: The object that answers questions about one breaker.
        refresh: The object that reads the breakers of the view from the store again.
        outage: The object that admits and counts calls while the store is unavailable.
        settling: The object that reports the outcomes of admitted calls.
        slow_calls: The object that measures calls for ``slow_after``.
        successes: The object that reports the successes which the view keeps.
        recovery: The object that ends an outage of the store.
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
        if view is not None:
            view.policy_for = self.policy_for
        emit, clock = self.notifier.emit, monotonic if view is None else view.clock
        self.slow_calls = SlowCalls(self.policy_for, clock)
        self.outage = OutageCalls(
            self.policy_for,
            emit,
            policy=on_store_outage,
            reopen_on_no_verdict=reopen_on_no_verdict,
            clock=clock,
        )
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
            claimed=self.outage.claimed,
            accepted=self._accepted,
        )
        self.changes = self._shared.changes
        self.demands = Demands(self.changes, self.outage, begin_outage=self._begin_outage)
        self.insight = Insight(self._shared, self.outage, begin_outage=self._begin_outage)
        resync = Resync(self._shared, self.outage.local, self.outage.outbox)
        self.settling = Settling(self._shared, self.outage, resync, view, begin_outage=self._begin_outage)
        self.recovery = Recovery(self.outage, resync, begin_outage=self._begin_outage, clock=clock)
        self.successes = SuccessReports(view, self._shared, self.outage.decides)
        self.refresh = ViewRefresh(
            view,
            self.outage.detector,
            self.notifier,
            record=self._refreshed,
            refreshed=self.successes.wake_if_due,
            begin_outage=self._begin_outage,
            host_reads=host_reads,
        )

    @property
    def is_out(self) -> bool:
        """Whether the store does not answer, as far as this process knows.

        If so, calls follow the outage policy (``on_store_outage``).
        """
        return self.outage.detector.is_out

    def policy_for(self, name: str) -> BreakerPolicy:
        """Return the policy of the breaker ``name``."""
        return self.policies.get(name, self.policy)

    def admit_without_io(self, name: str) -> Permit | None:
        """Admit or reject a call without asking the store, if this process knows enough.

        The caller must call `fresh_permit` first.

        Args:
            name: The breaker's name.

        Returns:
            The permit if the call may go ahead; ``None`` if the caller must ask the store.

        Raises:
            CircuitBreakerOpenError: By the view (this process's copy of the shared state), the breaker rejects calls
                now. Or the store is unavailable and the outage policy (``on_store_outage``) rejects the call.
            StoreError: The store is unavailable and the outage policy is ``"raise"``.
        """
        if self.outage.decides(name):
            return self._admit_alone(name, probes_of_caller(name))
        seen = None if self.view is None else self.view.fresh_snapshot(name)
        # Inside a probe, only the store knows whether this call is part of that probe.
        if seen is None or probes_of_caller(name):
            return None
        if (wait := open_wait(*seen)) > 0.0:
            if self.notifier.listeners:  # without listeners, a refused call does not pay for an event
                self.notifier.emit(Rejected(name, State.OPEN, wait))
            raise refusal(name, State.OPEN, wait)
        permit = self._shared.decide(*seen)
        return None if permit is None else self.slow_calls.timed(permit)

    def admission(self, name: str) -> StoreCalls[Permit]:
        """Ask the store whether a call may go ahead, and become the owner of the probe if the probe is due.

        If the store does not answer, the outage policy (``on_store_outage``) decides.

        Args:
            name: The breaker's name.

        Returns:
            A generator of store calls that returns the permit.

        Raises:
            CircuitBreakerOpenError: The breaker or the outage policy rejects the call.
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
        return self._admit_alone(name, probes)

    def first_admission(self, names: Sequence[str]) -> StoreCalls[Permit]:
        """Ask the store for the first of several breakers that admits a call.

        If the store does not answer, the outage policy (``on_store_outage``) decides for each breaker in turn.

        Args:
            names: The breakers' names, the most preferred first; at least one.

        Returns:
            A generator of store calls that returns the permit.

        Raises:
            CircuitBreakerOpenError: No breaker admits the call.
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
                return self._admit_alone(name, probes)
            except CircuitBreakerOpenError as refused:
                refusals.append(refused)
        raise soonest(refusals, names[0])

    def _successes_since(self, name: str, since: float) -> int:
        return 0 if self.view is None else self.view.successes_since(name, since)

    def renewal(self, permit: Permit) -> StoreCalls[bool]:
        """Keep a probe for its caller for another ``probe_lease`` seconds, from now.

        Args:
            permit: The permit of the probe.

        Returns:
            ``True`` if the probe still belongs to the caller, or if the store is unavailable. ``False`` if it belongs
            to another caller or is over.
        """
        if isinstance(permit, LocalPermit):
            return self.outage.local.renew(permit)
        if self.outage.detector.is_out or isinstance(permit, UnreportedPermit):
            return True
        try:
            return (yield from self._shared.renew(permit))
        except StoreError as error:
            self._begin_outage(permit.name, error)
            return True

    def _admit_alone(self, name: str, probes: frozenset[str]) -> Permit:
        """Admit or refuse a call by the outage policy; see `OutageCalls.admit` for the arguments and the errors."""
        return self.slow_calls.timed(self.outage.admit(name, probes))

    def _begin_outage(self, name: str, error: StoreError) -> None:
        """Begin or continue an outage.

        Args:
            name: The name of the breaker whose store call failed.
            error: The error of the store.
        """
        self.outage.begin(name, error, self.view)
        if self.view is not None:
            self.takes_success = self._takes_success_after_outage

    def _takes_success_after_outage(self, permit: Permit) -> bool:
        """Keep a success as `View.takes_success` does, and clear older local failures.

        The success clears the failures of the local breaker that are not in the store yet.
        """
        view = self.view
        if view is None or not view.takes_success(permit):
            return False
        if not self.outage.local.is_settled:
            self.outage.local.succeeded(permit.name)
        elif not self.outage.detector.is_degraded:
            self.takes_success = view.takes_success
        return True

    def _accepted(self, name: str) -> None:
        self.recovery.accepted(name)

    def _note(self, snapshot: Snapshot, asked_at: float, *, refreshed: bool = False) -> None:
        self.outage.local.note(snapshot, asked_at)
        if self.view is not None and not self.outage.decides(snapshot.name):
            self.view.record(snapshot, asked_at, refreshed=refreshed)

    def _refreshed(self, snapshot: Snapshot, asked_at: float) -> None:
        self._shared.limit.follow(snapshot, asked_at)
        self._note(snapshot, asked_at, refreshed=True)

    def _forget(self, name: str) -> None:
        if self.view is not None:
            self.view.forget(name)
