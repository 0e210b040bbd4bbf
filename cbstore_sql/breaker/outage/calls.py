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
    """Admit calls and count their outcomes by the outage policy (``on_store_outage``), while the store is unavailable.

    Args:
        policy_for: A function that returns the policy of one breaker.
        emit: A function that receives each event.
        policy: What happens to calls during an outage: ``"local"``, ``"allow"``, ``"block"`` or ``"raise"``.
        reopen_on_no_verdict: What happens to a local probe that ends neither as a success nor as a failure. ``False``
            lets the next caller make the probe, ``True`` opens the circuit again.
        clock: A function that returns seconds. Only differences between them matter.

    Attributes:
        watch: A function that is called while the store is unavailable, so that the breaker asks the store again in the
            background. The owner of the breaker's background work sets it.
        detector: The object that remembers whether the store answers.
        local: The breakers that this process uses while the store is unavailable.
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
        """Whether this process counts calls in its own memory while the store is unavailable.

        This is so with ``on_store_outage="local"``.
        """
        return self.detector.policy == "local"

    def decides(self, name: str) -> bool:
        """Return whether the calls of a breaker follow the outage policy (``on_store_outage``) now, and not the store.

        This is so while the store is unavailable. It is also so for a circuit that opened in this process, until the
        store knows it.

        Args:
            name: The breaker's name.
        """
        return self.detector.is_out or self.local.is_open_here(name)

    def begin(self, name: str, error: StoreError, view: View | None) -> None:
        """Begin or continue an outage after a store call has failed.

        From now on calls follow the outage policy (``on_store_outage``). Local breakers start from the last snapshots
        of the view, and the breaker asks the store again in the background.

        Args:
            name: The name of the breaker whose store call failed.
            error: The error of the store.
            view: The view (this process's copy of the shared state), or ``None`` if the breaker has no view.
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
        """Admit or reject a call by the outage policy (``on_store_outage``).

        Args:
            name: The breaker's name.
            probes: The tokens of the probes that the caller is inside, from `probes_of_caller`.

        Returns:
            The permit: the right to report the outcome.

        Raises:
            CircuitBreakerOpenError: The policy is ``"block"``, or the circuit is open in this process.
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
        """Count the outcome of a call in this process, and keep what must be reported to the store later.

        Args:
            permit: The permit of the admitted call.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
            uncounted: ``True`` if the store has certainly not counted the outcome. ``False`` if it may have counted it.
            carried: The number of earlier successes that were never reported.
        """
        self.outbox.settled(permit, verdict)
        if self.is_local:
            self.local.settle(permit, verdict, uncounted=uncounted, carried=carried)
        if not self.detector.is_out:
            # The store answers again by now, so this outcome must be reported in the background too.
            self.watch()

    def claimed(self, name: str, token: str) -> None:
        """Take note that this process asked for a probe and got no answer, so that the probe is released later.

        Args:
            name: The breaker's name.
            token: The token with which this process asked for the probe.
        """
        self.outbox.claimed(name, token)
        self.watch()

    def log_full(self, error: BreakerNotStoredError) -> None:
        """Log, only once, that the store cannot keep a breaker, so that its failures do not count.

        The same error follows for each further breaker, because the namespace is full.

        Args:
            error: The error of the store.
        """
        if not self._full:
            self._full = True
            log.error("failures of further breakers are not counted: %s", error)

    def _keep_successes(self, view: View) -> None:
        """Move the unreported successes of the view to the local breakers, if the policy is ``"local"``."""
        for permit in view.unreported() if self.is_local else ():
            successes = len(view.take_successes(permit))
            if successes:
                self.local.settle(permit, Verdict.SUCCESS, uncounted=False, carried=successes - 1)
