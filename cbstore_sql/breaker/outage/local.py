"""The breakers of one process while the store does not answer.

They start as they were last known and follow the same rules, on a store in memory. What the shared store has to hear
afterwards is written down: circuits that opened here, successes, and failures that it has certainly not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from time import monotonic
from typing import Any

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.breaker.outage.changes import ChangeLog, LocalChanges
from cbstore_sql.core.model import LocalPermit, Permit, Row, Snapshot, State, UnreportedPermit, Verdict
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.events import BreakerEvent, Closed, Opened
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.memory import InMemoryStore

MOST_KNOWN = 4096
"""How many breakers a process remembers for an outage: those that the store was asked about last."""


_RECENT_SECONDS = 60.0
"""A generation read longer ago does not tell what the shared store had when the outage began."""


class _Store(InMemoryStore):
    """The rows of `LocalBreakers`, which shares its lock with them.

    With two locks a signal handler that makes a guarded call could take them in the opposite order.
    """

    def _have_lock(self) -> None:
        """Make no lock: the owner sets it, again after each fork."""

    def has(self, name: str) -> bool:
        return name in self._rows

    def adopt(self, name: str, row: Row) -> None:
        """Hold a breaker as it is known, unless there is one of this name."""
        with self._lock:
            self._rows.setdefault(name, row)

    def drop(self, name: str) -> None:
        with self._lock:
            self._rows.pop(name, None)

    def keep_only(self, names: Iterable[str]) -> None:
        with self._lock:
            self._rows = {name: self._rows[name] for name in names if name in self._rows}

    def free_probes(self) -> None:
        """Free the slot of every probe: in a forked process, its owner is in the parent."""
        for name, row in self._rows.items():
            if row.probe_token:
                self._rows[name] = _without_probe(row)


class LocalBreakers(ForkSafeLock):
    """The breakers that this process uses during an outage.

    Args:
        policy_for: Returns the policy of one breaker.
        emit: Called with the events.
        reopen_on_no_verdict: See `CallFlow`.
        clock: Returns seconds of a steady clock.
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
        self._store = _Store(clock=clock, max_breakers=None)
        self._known: RecentNames[tuple[Snapshot, float]] = RecentNames(MOST_KNOWN)
        # Of each breaker in the store above: its generation in the shared store when it was adopted.
        self._bases: dict[str, int] = {}
        self._have_lock()

    def _renew_lock(self) -> None:
        super()._renew_lock()
        self._store._lock = self._lock
        # A forked process owes nothing of what its parent did.
        self._logs: dict[str, ChangeLog] = {}
        self._doubts: set[str] = set()
        self._opening: str | None = None
        self._store.free_probes()

    def note(self, snapshot: Snapshot, asked_at: float) -> None:
        """Remember what the shared store answered.

        Args:
            snapshot: The answer.
            asked_at: The moment before the store was asked, by the clock, seconds.
        """
        with self._lock:
            known = self._known.get(snapshot.name)
            if known is None or asked_at >= known[1]:
                self._known.put(snapshot.name, (snapshot, asked_at))

    def clear(self) -> None:
        """Start from what is known at the next outage, except where something is left to report or in doubt."""
        with self._lock:
            kept = {*self._logs, *self._doubts}
            self._store.keep_only(kept)
            self._bases = {name: base for name, base in self._bases.items() if name in kept}

    @property
    def is_in_doubt(self) -> bool:
        """Whether any failure counts here that the shared store may or may not have counted."""
        return bool(self._doubts)

    def forget(self, name: str) -> None:
        """Drop a doubt: the shared store took a write of this breaker."""
        with self._lock:
            self._doubts.discard(name)
            if name not in self._logs:
                self._store.drop(name)
                self._bases.pop(name, None)

    def succeeded(self, name: str) -> None:
        """Note a success that the shared store has decided: it clears failures in doubt and those not yet reported."""
        with self._lock:
            log = self._logs.get(name)
            if log is not None:
                log.add_successes(1)
        self.forget(name)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is in doubt and nothing is left to report."""
        return not (self._doubts or self._logs)

    def admit(self, name: str, probes: frozenset[str] = frozenset()) -> Permit:
        """Admit a call or refuse it.

        Args:
            name: The breaker's name.
            probes: See `CallFlow.admit`.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller of this process holds the probe.
        """
        self._begin(name)
        permit = sansio.run(self._flow.admit(name, probes), self._call_store)
        # Of a call inside this caller's probe, and of one that an override lets through, no outcome is reported.
        return permit if isinstance(permit, UnreportedPermit) else LocalPermit(*permit)

    def settle(self, permit: Permit, verdict: Verdict, *, uncounted: bool, carried: int = 0) -> None:
        """Take a verdict.

        Args:
            permit: One given here, or by the shared store before it failed.
            verdict: What the outcome says about the dependency.
            uncounted: Whether the shared store has certainly not counted it.
            carried: Successes that came before and were never reported.
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
        # The shared store would have rejected a stale failure too.
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
        """Extend the lease of a probe given here; return whether the caller still owns it."""
        return sansio.run(self._flow.renew(permit), self._call_store)

    def read(self, name: str) -> Snapshot:
        """Return one breaker."""
        self._begin(name)
        return self._store.read(name)

    def force_open(self, name: str, seconds: float) -> None:
        """Open a circuit for at least some seconds."""
        self._begin(name)
        sansio.run(self._flow.force_open(name, seconds), self._call_store)
        with self._lock:
            self._log_opened(name, opened=True)

    def hold(self, name: str, seconds: float) -> None:
        """Admit no call for some seconds. The shared store does not hear of it: a hold is over before an outage is."""
        self._begin(name)
        sansio.run(self._flow.hold(name, seconds), self._call_store)

    def is_open_here(self, name: str) -> bool:
        """Return whether a circuit opened here and the shared store may not know it yet: then this store decides."""
        log = self._logs.get(name)
        return name == self._opening or (log is not None and log.opened)

    def pending(self) -> list[str]:
        """Return the breakers with changes to report; those with an open circuit first."""
        with self._lock:
            return sorted(self._logs, key=lambda name: not self._logs[name].opened)

    def known_open(self) -> list[LocalChanges]:
        """Return the circuits that the shared store had open, for as long as their time is not over."""
        now, found = self._clock(), []
        with self._lock:
            known = self._known.items()
        for name, (snapshot, asked_at) in known:
            left = snapshot.retry_after - (now - asked_at)
            if snapshot.state is State.OPEN and left > 0.0 and name not in self._logs:
                found.append(LocalChanges(name, snapshot.generation, open_for=left))
        return found

    def take(self, name: str) -> LocalChanges | None:
        """Remove and return the changes of one breaker, to report them; `delivered` or `put_back` follows.

        While its circuit is open here, `is_open_here` goes on until then.
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
        """Note that the shared store has heard of changes, or need not."""
        with self._lock:
            self._opening = None
            if changes.open_for is not None:
                self._doubts.discard(changes.name)
            if changes.name not in self._logs and changes.name not in self._doubts:
                self._store.drop(changes.name)
                self._bases.pop(changes.name, None)

    def put_back(self, changes: LocalChanges, *, may_be_counted: bool) -> None:
        """Take back changes that did not reach the shared store.

        Args:
            changes: The changes.
            may_be_counted: Whether the store may have counted the failures; then they are not reported again.
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
            self._store.adopt(name, _by_steady_clock(*known))

    def _heard(self, event: BreakerEvent) -> None:
        if isinstance(event, (Opened, Closed)):
            with self._lock:
                self._log_opened(event.name, opened=isinstance(event, Opened))
        self._emit(event)

    def _log_opened(self, name: str, *, opened: bool) -> None:
        log = self._log(name)
        log.opened, log.opened_at = opened, self._clock()

    def _log(self, name: str) -> ChangeLog:
        return self._logs.setdefault(name, ChangeLog())


def _by_steady_clock(snapshot: Snapshot, asked_at: float) -> Row:
    """Return a breaker's row with its moments moved from the store's clock to the steady clock of this process."""
    shift = asked_at - snapshot.as_of

    def moved(moment: float) -> float:
        return max(0.0, moment + shift) if moment > 0.0 else 0.0

    # A moment before this clock began would read as 0, which for an override means that it has no end.
    override = snapshot.active_override
    return replace(
        snapshot._to_row(),
        override=override,
        last_failure_time=moved(snapshot.last_failure_time),
        open_until=moved(snapshot.open_until),
        probe_until=moved(snapshot.probe_until),
        closed_at=moved(snapshot.closed_at),
        hold_until=moved(snapshot.hold_until),
        override_until=moved(snapshot.override_until),
    )


def _without_probe(row: Row) -> Row:
    return replace(row, probe_token="", probe_until=0.0)
