"""The part of a breaker that both kinds share: view, store and what is done without the store, without any I/O."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from cbstore_sql.breaker.flow import CallFlow, StoreCalls, nothing
from cbstore_sql.breaker.outage.detector import OutageDetector, OutagePolicy
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox
from cbstore_sql.breaker.outage.resync import Resync, was_not_applied
from cbstore_sql.breaker.outcomes import SUCCESS, OutcomeClassifier
from cbstore_sql.breaker.reentrancy import in_probe
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import LocalPermit, Permit, Snapshot, Transition, UnreportedPermit, Verdict
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import check_name
from cbstore_sql.errors import StoreError, TooManyBreakersError
from cbstore_sql.events import BreakerEvent, CallFinished, Listener, ViewRefreshed, tell
from cbstore_sql.stores.call import StoreCall

log = logging.getLogger("cbstore_sql")

HAND_OVER_TIMEOUT = 5.0
"""Seconds for bringing to a store that answers again what happened without it: no call waits for that."""

RENEWALS_PER_LEASE = 3
"""How often within one lease its owner renews it: it outlives a renewal or two that fail."""


class BreakerController:
    """Admits calls and takes their outcomes.

    Args:
        policy: For every name that ``policies`` does not know.
        policies: By breaker name.
        outcomes: What counts.
        reopen_on_no_verdict: See `CallFlow`.
        on_store_outage: See `CircuitBreaker`.
        listeners: Called with every event.
        view: What this process last saw; ``None`` asks the store every time.
        announce: Called with every change of state in the store, before the listeners; it neither waits nor raises.

    Attributes:
        admitted: What lets a healthy call through, the view's own method; see `View`. Without a view it never does.
        is_clean: What takes its success, in the same way.
        listeners: As given, and those that came since.
        watch: Called while the store is out: somebody is to see when it answers again.
    """

    def __init__(
        self,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        policies: Mapping[str, BreakerPolicy] | None = None,
        outcomes: OutcomeClassifier | None = None,
        reopen_on_no_verdict: bool = False,
        on_store_outage: OutagePolicy = "local",
        listeners: Iterable[Listener] = (),
        view: View | None = None,
        announce: Callable[[Transition], object] | None = None,
    ) -> None:
        self.view = view
        self.admitted: Callable[[str], Permit | None] = nothing if view is None else view.fresh_permit
        self.is_clean: Callable[[Permit], object] = nothing if view is None else view.is_clean
        self.policy = policy
        self.policies = dict(policies or {})
        self.outcomes = outcomes or OutcomeClassifier()
        self.watch: Callable[[], object] = lambda: None
        self._full = False
        self.listeners = list(listeners)
        self._outage = OutageDetector(on_store_outage, self.emit)
        self._owed = Outbox()
        clock = monotonic if view is None else view.clock
        self._local = LocalBreakers(self.policy_for, self.emit, reopen_on_no_verdict=reopen_on_no_verdict, clock=clock)
        self._shared = CallFlow(
            self.policy_for,
            self.emit,
            reopen_on_no_verdict=reopen_on_no_verdict,
            clock=clock,
            note=self._note,
            forget=self._forget,
            announce=announce or nothing,
            claimed=self._owed.claimed,
        )
        self._hand_over = Resync(self._shared, self._local, self._owed)

    @property
    def is_out(self) -> bool:
        """Whether the store does not answer, as far as this process has seen."""
        return self._outage.is_out

    def policy_for(self, name: str) -> BreakerPolicy:
        """Return the policy of one breaker."""
        return self.policies.get(name, self.policy)

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self.listeners.append(listener)

    def emit(self, event: BreakerEvent) -> None:
        """Tell the listeners."""
        tell(self.listeners, event)

    def began(self) -> float | None:
        """Return the moment a guarded call begins, seconds by a steady clock; ``None`` while nobody listens."""
        return time.perf_counter() if self.listeners else None

    def finished(self, name: str, verdict: Verdict, began: float | None) -> None:
        """Tell the listeners how a guarded call that began at a moment ended."""
        if began is not None:
            self.emit(CallFinished(name, verdict, time.perf_counter() - began))

    def report_failed(self, error: Exception) -> None:
        """Note that a store raised what no store should, where the call's own outcome must go on."""
        log.error("an outcome could not be reported: %s", type(error).__name__)

    def admit_without_io(self, name: str) -> Permit | None:
        """Let a call through or refuse it without asking the store, or return ``None``: ask it.

        Raises:
            CircuitBreakerOpenError: The circuit was seen open, or another caller's probe; or the store is out and the
                call is refused.
            StoreError: The store is out and the policy says so.
        """
        view = self.view
        if view is not None:
            permit = view.fresh_permit(name)
            if permit is not None:
                return permit
        if in_probe(self, name):
            return UnreportedPermit(name, 0)
        if self._outage.is_out:
            return self._admit_without_store(name)
        if view is not None and (refused := view.fresh_refusal(name)) is not None:
            self._shared.refuse(name, *refused)
        return None

    def settle_without_io(self, permit: Permit, verdict: Verdict) -> bool:
        """Take a verdict that the store need not hear, or cannot; return whether that is so."""
        if verdict is SUCCESS and (view := self.view) is not None and view.is_clean(permit):
            return True
        if isinstance(permit, UnreportedPermit) or (verdict is Verdict.NONE and not permit.is_probe):
            return True
        if self._outage.is_out:
            self._settle_without_store(permit, verdict, uncounted=True)
            return True
        return False

    def admit(self, name: str) -> StoreCalls[Permit]:
        """Let a call through, as the probe where one is due, or refuse it.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller holds the probe; or the store fails and the
                call is refused.
            StoreError: The store fails and the policy says so.
        """
        check_name("breaker name", name)
        try:
            return (yield from self._shared.admit(name))
        except StoreError as error:
            self._begin_outage(name, error)
        return self._admit_without_store(name)

    def success(self, permit: Permit) -> StoreCalls[None]:
        """Report that the dependency answered, unless the store need not hear of it."""
        if not self.settle_without_io(permit, Verdict.SUCCESS):
            yield from self.settle(permit, Verdict.SUCCESS)

    def failure(self, permit: Permit) -> StoreCalls[None]:
        """Report that the dependency failed, unless the store need not hear of it."""
        if not self.settle_without_io(permit, Verdict.FAILURE):
            yield from self.settle(permit, Verdict.FAILURE)

    def settle(self, permit: Permit, verdict: Verdict) -> StoreCalls[None]:
        """Report a verdict; what the store does not take is dealt with by the outage policy."""
        try:
            if isinstance(permit, LocalPermit):
                yield from self._hand_over.late(permit, verdict)
            else:
                yield from self._shared.settle(permit, verdict)
        except TooManyBreakersError as error:
            self._tell_full(error)
        except StoreError as error:
            self._begin_outage(permit.name, error)
            self._settle_without_store(permit, verdict, uncounted=was_not_applied(error))

    def renew(self, permit: Permit) -> StoreCalls[bool]:
        """Extend the lease of a probe; return whether it is still the caller's, as far as can be known."""
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
        """Open a circuit because of what the dependency said; without the store for this process."""
        if not self._outage.is_out:
            try:
                yield from self._shared.force_open(name, seconds)
                return
            except TooManyBreakersError as error:
                self._tell_full(error)
                return
            except StoreError as error:
                self._begin_outage(name, error)
        if self._outage.policy == "local":
            self._local.force_open(name, seconds)

    def seen(self, name: str) -> StoreCalls[Snapshot]:
        """Read a breaker as the next call would find it; without the store as this process has it."""
        if not self._outage.is_out:
            try:
                return (yield from self._shared.read(name))
            except StoreError as error:
                self._begin_outage(name, error)
        return self._local.read(name)

    def force_open(self, name: str, seconds: float) -> StoreCalls[Transition]:
        """Open a circuit for at least some seconds."""
        return self._shared.force_open(name, seconds)

    def reset(self, name: str) -> StoreCalls[Transition]:
        """Close and clean a circuit."""
        return self._shared.reset(name)

    def snapshot(self, name: str) -> StoreCalls[Snapshot]:
        """Read one breaker."""
        check_name("breaker name", name)
        return self._shared.read(name)

    def refresh(self) -> StoreCalls[bool]:
        """Read the breakers in use again, all in one; return whether there are any."""
        view = self.view
        names = [] if view is None else view.in_use()
        if view is None or not names or self._outage.is_out:
            return bool(names)
        asked_at = view.clock()
        try:
            snapshots: Mapping[str, Snapshot] = yield StoreCall("read_many", (names,))
        except StoreError as error:
            self._begin_outage(names[0], error)
            return True
        view.answered(asked_at)
        ages = view.staleness()
        for snapshot in snapshots.values():
            self._note(snapshot, asked_at)
        if self.listeners and ages:
            oldest = max(ages, key=ages.__getitem__)
            self.emit(ViewRefreshed(oldest, ages[oldest]))
        return True

    def answers(self) -> StoreCalls[bool]:
        """Ask a store that was out whether it answers; return whether it does, or was not out."""
        if not self._outage.is_out:
            return True
        try:
            yield from self._shared.read(self._outage.name)
        except StoreError as error:
            self._begin_outage(self._outage.name, error)
            return False
        return True

    def recover(self) -> StoreCalls[bool]:
        """Bring to a store that answers what happened without it, and use it again; return whether that went well."""
        if not self._outage.is_out:
            return True
        try:
            yield from self._hand_over.everything()
            self._outage.mark_up()
            # A call that was decided without the store may have ended meanwhile.
            yield from self._hand_over.everything()
        except StoreError as error:
            self._begin_outage(self._outage.name, error)
            return False
        self._local.clear()
        return True

    def _tell_full(self, error: TooManyBreakersError) -> None:
        """Log that a namespace is full: once, since each call of each further breaker finds it so."""
        if not self._full:
            self._full = True
            log.error("failures of further breakers are not counted: %s", error)

    def _begin_outage(self, name: str, error: StoreError) -> None:
        if self.view is not None and not self._outage.is_out:
            self.view.clear()
        self._outage.mark_down(name, error)
        self.watch()

    def _admit_without_store(self, name: str) -> Permit:
        check_name("breaker name", name)
        self.watch()
        if self._outage.policy == "local":
            return self._local.admit(name)
        if self._outage.policy != "allow":
            self._outage.refuse(name)
        return UnreportedPermit(name, 0)

    def _settle_without_store(self, permit: Permit, verdict: Verdict, *, uncounted: bool) -> None:
        self._owed.settled(permit, verdict)
        if self._outage.policy == "local":
            self._local.settle(permit, verdict, uncounted=uncounted)

    def _note(self, snapshot: Snapshot, asked_at: float) -> None:
        self._local.note(snapshot, asked_at)
        if self.view is not None and not self._outage.is_out:
            self.view.record(snapshot, asked_at)

    def _forget(self, name: str) -> None:
        if self.view is not None:
            self.view.forget(name)
