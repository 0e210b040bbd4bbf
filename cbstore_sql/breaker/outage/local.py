"""The breakers of one process while the store does not answer.

The breakers start in their last known state and follow the same rules, over a store in memory. A record keeps what must
be reported to the shared store afterwards: circuits that opened in this process, successes, and failures that the
shared store has certainly not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.breaker.outage.changes import ChangeLog, LocalChanges
from cbstore_sql.breaker.outage.local_store import LocalStore, row_by_steady_clock
from cbstore_sql.core.model import LocalPermit, Permit, Snapshot, State, UnreportedPermit, Verdict
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.events import BreakerEvent, Closed, Opened
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.stores.call import StoreCall

MOST_KNOWN = 4096
"""The largest number of breakers that a process remembers for an outage: those that the store was asked for last."""


_RECENT_SECONDS = 60.0
"""The largest age of a snapshot, in seconds, whose generation counts as the shared store's when the outage begins."""


class LocalBreakers(ForkSafeLock):
    """Admit and count calls in the memory of this process while the store does not answer.

    Each breaker starts in the last state that this process knows. This object records what must be reported to the
    store after the outage. A failure is in doubt if the store may or may not have counted it: it counts here, but is
    never reported.

    Args:
        policy_for: A function that returns the policy of one breaker.
        emit: A function that is called with each event.
        reopen_on_no_verdict: What happens to a probe that ends neither as a success nor as a failure. ``False`` lets
            the next caller make the probe, ``True`` opens the circuit again.
        clock: A function that returns seconds. Only differences between them matter.
    """

    def __init__(
        self,
        policy_for: Callable[[str], BreakerPolicy],
        emit: Callable[[BreakerEvent], None],
        *,
        reopen_on_no_verdict: bool,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._flow = CallFlow(policy_for, self._heard, reopen_on_no_verdict=reopen_on_no_verdict, clock=clock)
        self._store = LocalStore(clock=clock, max_breakers=None)
        self._known: RecentNames[tuple[Snapshot, float]] = RecentNames(MOST_KNOWN)
        # For each breaker in `_store`: the generation in the shared store when the breaker was adopted.
        self._bases: dict[str, int] = {}
        self._have_lock()

    def _renew_lock(self) -> None:
        super()._renew_lock()
        self._store._lock = self._lock
        # A forked process reports nothing of what its parent did.
        self._logs: dict[str, ChangeLog] = {}
        self._doubts: set[str] = set()
        self._opening: str | None = None
        self._store.free_probes()

    def note(self, snapshot: Snapshot, asked_at: float) -> None:
        """Remember a snapshot that the store returned. If the store fails, the breaker starts here from this snapshot.

        Args:
            snapshot: The breaker.
            asked_at: The moment just before the store call, in seconds of ``clock``.
        """
        with self._lock:
            known = self._known.get(snapshot.name)
            if known is None or asked_at >= known[1]:
                self._known.put(snapshot.name, (snapshot, asked_at))

    def clear(self) -> None:
        """Forget the local state of all breakers that have nothing to report and no failure in doubt.

        A failure is in doubt if the store may or may not have counted it. A forgotten breaker starts in its last known
        state at the next outage.
        """
        with self._lock:
            kept = {*self._logs, *self._doubts}
            self._store.keep_only(kept)
            self._bases = {name: base for name, base in self._bases.items() if name in kept}

    @property
    def is_in_doubt(self) -> bool:
        """Whether there is a failure that counts in this process and that the store may or may not have counted."""
        return bool(self._doubts)

    def forget(self, name: str) -> None:
        """Stop counting the failures in doubt of a breaker, because the store has accepted a write of this breaker.

        A failure is in doubt if the store may or may not have counted it.

        Args:
            name: The breaker's name.
        """
        with self._lock:
            self._doubts.discard(name)
            if name not in self._logs:
                self._store.drop(name)
                self._bases.pop(name, None)

    def succeeded(self, name: str) -> None:
        """Clear the local failures of a breaker, because a call that the store admitted has succeeded.

        This clears failures that are not yet reported, and failures that the store may or may not have counted.

        Args:
            name: The breaker's name.
        """
        with self._lock:
            log = self._logs.get(name)
            if log is not None:
                log.add_successes(1)
        self.forget(name)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to report, and no failure that the store may or may not have counted."""
        return not (self._doubts or self._logs)

    def admit(self, name: str, probes: frozenset[str] = frozenset()) -> Permit:
        """Admit or reject a call by the local state of this process.

        Args:
            name: The breaker's name.
            probes: The tokens of the probes that the caller is inside, from `probes_of_caller`. If the local probe is
                one of them, the call is a part of that probe.

        Returns:
            The permit: the right to report the outcome with `settle`.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller of this process makes the probe.
        """
        self._begin(name)
        permit = sansio.run(self._flow.admit(name, probes), self._call_store)
        # An `UnreportedPermit` is for a call inside this caller's probe or a call that an override admits. The outcome
        # of such a call is not reported.
        return permit if isinstance(permit, UnreportedPermit) else LocalPermit(*permit)

    def settle(self, permit: Permit, verdict: Verdict, *, uncounted: bool, carried: int = 0) -> None:
        """Count the outcome of a call in this process, and record what must be reported to the store.

        Args:
            permit: A permit from `admit`, or from the store before it failed.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
            uncounted: ``True`` if the store has certainly not counted the outcome. ``False`` if it may have counted it.
            carried: The number of earlier successes that were never reported.
        """
        name = permit.name
        self._begin(name)
        before = self._store.read(name)
        clears = before.failure_count > 0 or before.score > 0.0
        effects: list[Any] = []

        def call_store(call: StoreCall) -> Any:
            effects.append(self._call_store(call))
            return effects[-1]

        sansio.run(self._flow.settle(permit, verdict, carried), call_store)
        if verdict is Verdict.SUCCESS:
            self._log_successes(name, 1 + carried, clears=clears)
        # A failure without effect is not recorded: the shared store would have rejected the stale permit too.
        elif verdict is Verdict.FAILURE and effects != [None]:
            if carried:
                self._log_successes(name, carried, clears=True)
            self._log_failure(name, uncounted=uncounted)

    def _log_successes(self, name: str, successes: int, *, clears: bool) -> None:
        with self._lock:
            if clears or name in self._logs or name in self._doubts:
                self._log(name).add_successes(successes)
                self._doubts.discard(name)

    def _log_failure(self, name: str, *, uncounted: bool) -> None:
        with self._lock:
            if uncounted:
                self._log(name).failures += 1
            else:
                self._doubts.add(name)

    def renew(self, permit: Permit) -> bool:
        """Keep a probe that `admit` gave to the caller for another ``probe_lease`` seconds, from now.

        Args:
            permit: The permit that `admit` returned.

        Returns:
            Whether the probe still belongs to the caller.
        """
        return sansio.run(self._flow.renew(permit), self._call_store)

    def read(self, name: str) -> Snapshot:
        """Return the state, the counts and the times of a breaker as this process has them.

        Args:
            name: The breaker's name.
        """
        self._begin(name)
        return self._store.read(name)

    def force_open(self, name: str, seconds: float) -> None:
        """Open a circuit in this process. After the outage, the opening is reported to the store.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now.
        """
        self._begin(name)
        sansio.run(self._flow.changes.force_open(name, seconds), self._call_store)
        with self._lock:
            self._log_opened(name, opened=True)

    def hold(self, name: str, seconds: float) -> None:
        """Reject all calls of a breaker in this process for some seconds.

        The hold is not reported to the store, because it usually ends before the outage.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now.
        """
        self._begin(name)
        sansio.run(self._flow.changes.hold(name, seconds), self._call_store)

    def is_open_here(self, name: str) -> bool:
        """Return whether a circuit opened in this process and the store may not know it yet.

        If so, this object decides about the calls of the breaker, even if the store answers again.

        Args:
            name: The breaker's name.
        """
        log = self._logs.get(name)
        return name == self._opening or (log is not None and log.opened)

    def pending(self) -> list[str]:
        """Return the names of the breakers with changes to report. Circuits that opened in this process come first."""
        with self._lock:
            return sorted(self._logs, key=lambda name: not self._logs[name].opened)

    def known_open(self) -> list[LocalChanges]:
        """Return the circuits that were open in the store before the outage and must still be open.

        If the store has lost its data, `Resync.lost_circuits` opens them again.

        Returns:
            One record for each circuit, with the seconds for which it stays open.
        """
        now, found = self._clock(), []
        with self._lock:
            known = self._known.items()
        for name, (snapshot, asked_at) in known:
            left = snapshot.retry_after - (now - asked_at)
            if snapshot.state is State.OPEN and left > 0.0 and name not in self._logs:
                found.append(LocalChanges(name, snapshot.generation, open_for=left))
        return found

    def take(self, name: str) -> LocalChanges | None:
        """Remove and return what must be reported about one breaker.

        After the report, the caller must call `delivered`, or `put_back` if the report failed. Until then, a circuit
        that is open in this process stays so.

        Args:
            name: The breaker's name.

        Returns:
            The changes, or ``None`` if there is nothing to report.
        """
        with self._lock:
            log = self._logs.pop(name, None)
            if log is None:
                return None
            snapshot = self._store.read(name)
            base = self._bases.get(name)
            if snapshot.state is State.CLOSED:
                return LocalChanges(name, base, successes=log.successes, failures=log.failures)
            if not log.opened:
                return LocalChanges(name, base)
            self._opening = name
            left = max(0.0, snapshot.open_until - snapshot.as_of)
            return LocalChanges(name, base, opened=True, open_for=left, opened_ago=self._clock() - log.opened_at)

    def delivered(self, changes: LocalChanges) -> None:
        """Forget the local state of a breaker, because its changes have reached the store or are out of date.

        Args:
            changes: What `take` returned.
        """
        with self._lock:
            self._opening = None
            if changes.open_for is not None:
                self._doubts.discard(changes.name)
            if changes.name not in self._logs and changes.name not in self._doubts:
                self._store.drop(changes.name)
                self._bases.pop(changes.name, None)

    def put_back(self, changes: LocalChanges, *, may_be_counted: bool) -> None:
        """Keep changes for the next attempt, because their report to the store failed.

        Args:
            changes: What `take` returned, or a part of it.
            may_be_counted: Whether the store may have counted the failures in spite of the error. If so, they are not
                reported again.
        """
        with self._lock:
            self._opening = None
            if may_be_counted and changes.failures:
                self._doubts.add(changes.name)
            if not may_be_counted or changes.opened:
                self._log(changes.name).restore(changes, self._clock(), may_be_counted=may_be_counted)

    def _call_store(self, call: StoreCall) -> Any:
        return getattr(self._store, call.operation)(*call.arguments, **call.keywords)

    def _begin(self, name: str) -> None:
        """Make sure that the breaker ``name`` is in the local store, in its last known state."""
        known = self._known.get(name)
        if known is None:
            return
        base = self._bases.get(name)
        if name in self._doubts and base is not None and known[0].generation > base:
            # Other processes have moved on since, so the failures in doubt are out of date.
            self.forget(name)
        if not self._store.has(name):
            if self._clock() - known[1] <= _RECENT_SECONDS:
                self._bases[name] = known[0].generation
            self._store.adopt(name, row_by_steady_clock(*known))

    def _heard(self, event: BreakerEvent) -> None:
        """Record openings and closings, and pass every event on."""
        if isinstance(event, (Opened, Closed)):
            with self._lock:
                self._log_opened(event.name, opened=isinstance(event, Opened))
        self._emit(event)

    def _log_opened(self, name: str, *, opened: bool) -> None:
        log = self._log(name)
        log.opened, log.opened_at = opened, self._clock()

    def _log(self, name: str) -> ChangeLog:
        return self._logs.setdefault(name, ChangeLog())
