"""The calls of one breaker while its store is unavailable: which policy they follow, and what is kept of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cbstore_sql.breaker.flow import nothing
from cbstore_sql.breaker.outage.detector import OutageDetector, OutagePolicy
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.outbox import Outbox
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Permit, UnreportedPermit, Verdict
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.core.validation import check_name
from cbstore_sql.errors import BreakerNotStoredError, StoreError
from cbstore_sql.events import BreakerEvent

log = logging.getLogger("cbstore_sql")


class OutageCalls:
    """The admission and the settling of calls by the outage policy, without the store.

    Args:
        policy_for: A function that returns the policy of one breaker.
        emit: A function that receives each event.
        policy: What happens to calls during an outage: ``"local"``, ``"allow"``, ``"block"`` or ``"raise"``.
        reopen_on_no_verdict: What happens to a local probe that ends without a verdict. ``False`` frees the probe for
            the next caller, ``True`` opens the circuit again.
        clock: A function that returns seconds of a steady clock.

    Attributes:
        watch: A function that is called while the store is unavailable, so that the breaker asks the store again in the
            background. The owner of the breaker's background work sets it.
        detector: The record of the store's state.
        local: The breakers that this process uses during an outage.
        outbox: The reports about probes that the store may not have received.

    Raises:
        ConfigurationError: ``policy`` is not one of the four values.
    """

    def __init__(
        self,
        policy_for: Callable[[str], BreakerPolicy],
        emit: Callable[[BreakerEvent], None],
        *,
        policy: OutagePolicy,
        reopen_on_no_verdict: bool,
        clock: Callable[[], float],
    ) -> None:
        self.detector = OutageDetector(policy, emit)
        self.local = LocalBreakers(policy_for, emit, reopen_on_no_verdict=reopen_on_no_verdict, clock=clock)
        self.outbox = Outbox(clock)
        self.watch: Callable[[], object] = nothing
        self._full = False

    @property
    def is_local(self) -> bool:
        """Whether this process uses local breakers during an outage."""
        return self.detector.policy == "local"

    def decides(self, name: str) -> bool:
        """Return whether the calls of a breaker follow the outage policy at the moment, without the store."""
        return self.detector.is_out or self.local.is_open_here(name)

    def begin(self, name: str, error: StoreError, view: View | None) -> None:
        """Begin or continue an outage: copy the view to the local breakers, and watch the store.

        Args:
            name: The name of the breaker whose store call failed.
            error: The error of the store.
            view: The view, or ``None`` if the breaker has no view.
        """
        if view is not None and not self.detector.is_out:
            # This includes the snapshots that the view has from push.
            for snapshot, asked_at in view.snapshots():
                self.local.note(snapshot, asked_at)
            self._keep_successes(view)
            view.clear()
        self.detector.mark_down(name, error)
        self.watch()

    def admit(self, name: str, probes: frozenset[str]) -> Permit:
        """Admit or refuse a call by the outage policy.

        Args:
            name: The breaker's name.
            probes: The tokens from `probes_of_caller`.

        Raises:
            CircuitBreakerOpenError: The policy or the local breaker refuses the call.
            StoreError: The policy is ``"raise"``.
        """
        check_name("breaker name", name)
        self.watch()
        if self.is_local:
            return self.local.admit(name, probes)
        if self.detector.policy != "allow":
            self.detector.refuse(name)
        return UnreportedPermit(name, 0)

    def settle(self, permit: Permit, verdict: Verdict, *, uncounted: bool, carried: int = 0) -> None:
        """Count a verdict in this process, and keep what the store must learn.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            uncounted: Whether the store has certainly not counted the verdict.
            carried: The number of earlier successes that were never reported.
        """
        self.outbox.settled(permit, verdict)
        if self.is_local:
            self.local.settle(permit, verdict, uncounted=uncounted, carried=carried)
        if not self.detector.is_out:
            # The store answers again by now, so this outcome must be reported in the background too.
            self.watch()

    def claimed(self, name: str, token: str) -> None:
        """Keep a claim whose answer did not arrive, so that its probe is released later.

        Args:
            name: The breaker's name.
            token: The token of the claim.
        """
        self.outbox.claimed(name, token)
        self.watch()

    def log_full(self, error: BreakerNotStoredError) -> None:
        """Log once that the namespace is full. The failures of all further breakers meet the same error."""
        if not self._full:
            self._full = True
            log.error("failures of further breakers are not counted: %s", error)

    def _keep_successes(self, view: View) -> None:
        """Move the unreported successes of the view to the local breakers, if the policy is ``"local"``."""
        for permit in view.unreported() if self.is_local else ():
            successes = len(view.take_successes(permit))
            if successes:
                self.local.settle(permit, Verdict.SUCCESS, uncounted=False, carried=successes - 1)
