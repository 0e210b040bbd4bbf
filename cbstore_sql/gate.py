"""What a guarded call asks of the store, and what it makes of the answers: without any I/O.

Each step of a call (admit, settle, renew) is a generator: it yields what it wants to `Ask` of the store, is sent the
answer or thrown the store's error, and returns its result. The synchronous and the asynchronous breaker drive the
same generators, one calling the store, the other awaiting it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NoReturn, TypeVar

from cbstore_sql.commands import check_name
from cbstore_sql.errors import CircuitBreakerOpenError, StoreError
from cbstore_sql.events import (
    BreakerEvent,
    CallFinished,
    Listener,
    ProbeClaimed,
    ProbeExpired,
    ProbeLost,
    Rejected,
    change_of,
    tell,
)
from cbstore_sql.model import Permit, Snapshot, State, Transition, Verdict, new_token
from cbstore_sql.outage import Outage, OutagePolicy
from cbstore_sql.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.view import View

T = TypeVar("T")

log = logging.getLogger("cbstore_sql")

# A claim is lost to somebody, so after a few the circuit has been open or half_open all the while.
_CLAIM_ATTEMPTS = 3

RENEWALS_PER_LEASE = 3
"""How often within one lease its owner renews it: it outlives a renewal or two that fail."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation that a step asks of the store: the method's name and its arguments."""

    operation: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)


Steps = Generator[Ask, Any, T]


@dataclass(frozen=True)
class Outcomes:
    """Which outcomes count.

    Args:
        record_on: Exceptions that count as failures.
        ignore: Exceptions that say nothing about the dependency although ``record_on`` names them.
        is_failure: Asked about an exception the two let through; ``False`` means it says nothing. ``None`` lets
            all of them count.
        is_failed_result: Asked about what a call returned; ``True`` makes it a failure. ``None`` means that
            returning is a success.
    """

    record_on: tuple[type[BaseException], ...] = (Exception,)
    ignore: tuple[type[BaseException], ...] = ()
    is_failure: Callable[[BaseException], bool] | None = None
    is_failed_result: Callable[[Any], bool] | None = None

    def of_exception(self, error: BaseException) -> Verdict:
        """Judge an exception; one that is no `Exception` (cancelled, interrupted) never counts."""
        counts = (
            isinstance(error, Exception) and isinstance(error, self.record_on) and not isinstance(error, self.ignore)
        )
        if not counts or not _asked(self.is_failure, error, default=True):
            return Verdict.NONE
        return Verdict.FAILURE

    def of_result(self, result: Any) -> Verdict:
        """Judge what a call returned."""
        return Verdict.FAILURE if _asked(self.is_failed_result, result, default=False) else Verdict.SUCCESS


def _asked(predicate: Callable[[Any], bool] | None, outcome: Any, *, default: bool) -> bool:
    """Ask the application about an outcome; a predicate that fails must not replace the outcome."""
    try:
        return default if predicate is None else predicate(outcome)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the call has its outcome already
        log.error("the predicate %r failed with %s", predicate, type(error).__name__)
        return default


class Gate:
    """The part of a breaker that both kinds share.

    Args:
        policy: For every name that ``policies`` does not know.
        policies: By breaker name.
        outcomes: What counts.
        reopen_on_no_verdict: What becomes of a probe that ends without a verdict: ``False`` frees its slot for
            the next caller, ``True`` opens the circuit again.
        on_store_outage: See `Outage`.
        listeners: Called with every event.
        view: What this process last saw; ``None`` asks the store every time.
        announce: Called with every change of state, before the listeners; it neither waits nor raises.
    """

    def __init__(
        self,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        policies: Mapping[str, BreakerPolicy] | None = None,
        outcomes: Outcomes | None = None,
        reopen_on_no_verdict: bool = False,
        on_store_outage: OutagePolicy = "allow",
        listeners: Iterable[Listener] = (),
        view: View | None = None,
        announce: Callable[[Transition], object] | None = None,
    ) -> None:
        self.view = view
        self._announce = announce
        self._clock = monotonic if view is None else view.clock
        self.policy = policy
        self.policies = dict(policies or {})
        self.outcomes = outcomes or Outcomes()
        self._reopen = reopen_on_no_verdict
        self._listeners = list(listeners)
        self._outage = Outage(on_store_outage, self.emit)

    def policy_for(self, name: str) -> BreakerPolicy:
        """Return the policy of one breaker."""
        return self.policies.get(name, self.policy)

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self._listeners.append(listener)

    def emit(self, event: BreakerEvent) -> None:
        """Tell the listeners."""
        tell(self._listeners, event)

    def began(self) -> float | None:
        """Return the moment a guarded call begins, seconds by a steady clock; ``None`` while nobody listens."""
        return time.perf_counter() if self._listeners else None

    def finished(self, name: str, verdict: Verdict, began: float | None) -> None:
        """Tell the listeners how a guarded call that began at a moment ended."""
        if began is not None:
            self.emit(CallFinished(name, verdict, time.perf_counter() - began))

    def report_failed(self, error: Exception) -> None:
        """Note that a store raised what no store should, where the call's own outcome must go on."""
        log.error("an outcome could not be reported: %s", type(error).__name__)

    def admit_from_view(self, name: str) -> Permit | None:
        """Let a call through or refuse it by what was last seen, or return ``None``: ask the store.

        Raises:
            CircuitBreakerOpenError: The circuit was seen open, or another caller's probe.
        """
        view = self.view
        if view is None:
            return None
        permit = view.admitted(name)
        if permit is None:
            refused = view.refused(name)
            if refused is not None:
                self._refuse(name, *refused)
        return permit

    def has_nothing_to_report(self, permit: Permit, verdict: Verdict) -> bool:
        """Whether a verdict would change nothing, as far as this process has seen."""
        if verdict is Verdict.SUCCESS:
            return self.view is not None and self.view.is_clean(permit)
        return verdict is Verdict.NONE and not permit.is_probe

    def admit(self, name: str) -> Steps[Permit]:
        """Let a call through, as the probe where one is due, or refuse it.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller holds the probe.
        """
        check_name("breaker name", name)
        try:
            return (yield from self._admit(name))
        except StoreError as error:
            return self._outage.admit(name, error)

    def success(self, permit: Permit) -> Steps[None]:
        """Report that the dependency answered."""
        yield from self._settle(Ask("record_success", (permit, self.policy_for(permit.name))), permit)

    def failure(self, permit: Permit) -> Steps[None]:
        """Report that the dependency failed."""
        yield from self._settle(Ask("record_failure", (permit, self.policy_for(permit.name))), permit)

    def no_verdict(self, permit: Permit) -> Steps[None]:
        """Report that the call ended and says nothing about the dependency."""
        if permit.is_probe and self._reopen:
            yield from self.failure(permit)
        elif permit.is_probe:
            yield from self._settle(Ask("release_probe", (permit,)), permit)

    def settle(self, permit: Permit, verdict: Verdict) -> Steps[None]:
        """Report a verdict."""
        report = {Verdict.SUCCESS: self.success, Verdict.FAILURE: self.failure, Verdict.NONE: self.no_verdict}
        return report[verdict](permit)

    def renew(self, permit: Permit) -> Steps[bool]:
        """Extend the lease of a probe; return whether it is still the caller's, as far as can be known."""
        try:
            transition = yield Ask("renew_probe", (permit, self.policy_for(permit.name)))
        except StoreError as error:
            self._outage.begin(permit.name, error)
            return True
        if transition is None:
            self.emit(ProbeExpired(permit.name, permit))
        return transition is not None

    def force_open(self, name: str, seconds: float) -> Steps[Transition]:
        """Open a circuit for at least some seconds."""
        asked_at = self._clock()
        transition: Transition = yield Ask("force_open", (name, seconds))
        self._learn(name, transition, asked_at)
        self._tell_change(transition)
        return transition

    def reset(self, name: str) -> Steps[Transition]:
        """Close and clean a circuit."""
        asked_at = self._clock()
        transition: Transition = yield Ask("reset", (name,))
        self._learn(name, transition, asked_at)
        self._tell_change(transition)
        return transition

    def _admit(self, name: str) -> Steps[Permit]:
        policy = self.policy_for(name)
        for _ in range(_CLAIM_ATTEMPTS):
            asked_at = self._clock()
            snapshot: Snapshot = yield Ask("read", (name,))
            self._outage.end(name)
            self._note(snapshot, asked_at)
            if snapshot.state is State.CLOSED:
                return snapshot.permit
            if not snapshot.probe_claimable:
                break
            asked_at = self._clock()
            claim: Transition | None = yield Ask("claim_probe", (name, policy), {"token": new_token()})
            if claim is not None:
                self._note(claim.snapshot, asked_at)
                self._tell_change(claim)
                self.emit(ProbeClaimed(name, claim.permit, took_over=not claim.changed))
                return claim.permit
            self.emit(ProbeLost(name))
        self._refuse(name, snapshot.state, snapshot.retry_after)

    def _settle(self, report: Ask, permit: Permit) -> Steps[None]:
        if self._outage.admitted(permit):
            return
        asked_at = self._clock()
        try:
            transition: Transition | None = yield report
        except StoreError as error:
            self._outage.begin(permit.name, error)
            return
        self._outage.end(permit.name)
        self._learn(permit.name, transition, asked_at)
        self._tell_change(transition)
        if transition is None and permit.is_probe:
            self.emit(ProbeExpired(permit.name, permit))

    def _refuse(self, name: str, state: State, retry_after: float) -> NoReturn:
        self.emit(Rejected(name, state, retry_after))
        raise CircuitBreakerOpenError(name=name, state=state.value, retry_after=retry_after)

    def _note(self, snapshot: Snapshot, asked_at: float) -> None:
        if self.view is not None:
            self.view.note(snapshot, asked_at)

    def _learn(self, name: str, transition: Transition | None, asked_at: float) -> None:
        """Let the view follow a report; one without effect tells that the breaker is not what was seen."""
        if transition is not None:
            self._note(transition.snapshot, asked_at)
        elif self.view is not None:
            self.view.forget(name)

    def _tell_change(self, transition: Transition | None) -> None:
        if transition is not None and (event := change_of(transition)) is not None:
            if self._announce is not None:
                self._announce(transition)
            self.emit(event)
