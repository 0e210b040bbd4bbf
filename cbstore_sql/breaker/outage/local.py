"""The breakers of one process while the store does not answer.

They begin as they were last known, run by the same rules on a store in memory, and keep account of what the shared
store has to hear when it answers again: circuits that opened here, and failures that are surely not counted there.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.core.model import LocalPermit, Permit, Row, Snapshot, State, Verdict
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.events import BreakerEvent, Closed, Opened
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.fork import ForkSafeLock
from cbstore_sql.runtime.recent import RecentNames
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.memory import InMemoryStore

MOST_KNOWN = 4096
"""How many breakers a process remembers for an outage: those that the store was asked about last."""


class LocalChanges(NamedTuple):
    """What the shared store has to hear of one breaker.

    Attributes:
        name: The breaker's name.
        open_for: Seconds for which the circuit stays open, having opened here; ``None`` where it has not.
        failures: Failures counted here alone since the last success.
    """

    name: str
    open_for: float | None
    failures: int

    def parts(self) -> list[LocalChanges]:
        """Return what is brought one after the other: a first failure alone, then the others in one.

        A failure that may have been counted is never brought again. A store that can be read and takes no writes (a
        locked row, a commit that hangs) thus loses one of them at each attempt, and not all.
        """
        if self.failures <= 1:
            return [self]
        return [self._replace(failures=1), self._replace(failures=self.failures - 1)]


class _Store(InMemoryStore):
    def has(self, name: str) -> bool:
        return name in self._rows

    def adopt(self, name: str, row: Row) -> None:
        """Hold a breaker as it is, if there is none of this name."""
        with self._lock:
            self._rows.setdefault(name, row)


class _ChangeLog:
    """What happened to one breaker here."""

    __slots__ = ("failures", "opened")

    def __init__(self) -> None:
        self.failures = 0
        self.opened = False


class LocalBreakers(ForkSafeLock):
    """The breakers as this process goes on with them.

    Args:
        policy_for: Returns the policy of one breaker.
        emit: Tells the listeners.
        reopen_on_no_verdict: See `CallFlow`.
        clock: The steady clock, seconds.
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
        self._circuits = CallFlow(policy_for, self._heard, reopen_on_no_verdict=reopen_on_no_verdict, clock=clock)
        self._known: RecentNames[tuple[Snapshot, float]] = RecentNames(MOST_KNOWN)
        self._have_lock()
        self._accounts: dict[str, _ChangeLog] = {}
        self.clear()

    def note(self, snapshot: Snapshot, asked_at: float) -> None:
        """Remember what the shared store answered when it was asked at a moment of the steady clock."""
        with self._lock:
            known = self._known.get(snapshot.name)
            if known is None or asked_at >= known[1]:
                self._known.put(snapshot.name, (snapshot, asked_at))

    def clear(self) -> None:
        """Begin anew from what is known, when the shared store counts again."""
        self._store = _Store(clock=self._clock, max_breakers=None)

    def admit(self, name: str) -> Permit:
        """Let a call through or refuse it.

        Raises:
            CircuitBreakerOpenError: The circuit is open, or another caller of this process holds the probe.
        """
        self._begin(name)
        return LocalPermit(*sansio.run(self._circuits.admit(name), self._ask))

    def settle(self, permit: Permit, verdict: Verdict, *, uncounted: bool) -> None:
        """Take a verdict.

        Args:
            permit: One given here, or by the shared store before it failed.
            verdict: What the outcome says.
            uncounted: Whether the shared store has surely not counted it.
        """
        self._begin(permit.name)
        effects: list[Any] = []

        def ask(asked: StoreCall) -> Any:
            effects.append(self._ask(asked))
            return effects[-1]

        sansio.run(self._circuits.settle(permit, verdict), ask)
        # What is fenced off here would have been there.
        if effects != [None]:
            self._keep_account(permit.name, verdict, uncounted=uncounted)

    def _keep_account(self, name: str, verdict: Verdict, *, uncounted: bool) -> None:
        with self._lock:
            if verdict is Verdict.SUCCESS:
                self._account(name).failures = 0
            elif uncounted:
                # No verdict has an effect on a probe alone, and what closes its circuit is a success.
                self._account(name).failures += 1

    def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe given here; return whether it is still the caller's."""
        return sansio.run(self._circuits.renew(permit), self._ask)

    def read(self, name: str) -> Snapshot:
        """Return one breaker."""
        self._begin(name)
        return self._store.read(name)

    def force_open(self, name: str, seconds: float) -> None:
        """Open a circuit for at least some seconds."""
        self._begin(name)
        sansio.run(self._circuits.force_open(name, seconds), self._ask)
        with self._lock:
            self._account(name).opened = True

    def next_leftover(self) -> LocalChanges | None:
        """Take one breaker off the account, or ``None``: the shared store has heard of everything."""
        with self._lock:
            if not self._accounts:
                return None
            name, account = self._accounts.popitem()
        snapshot = self._store.read(name)
        if snapshot.state is State.CLOSED:
            return LocalChanges(name, None, min(account.failures, snapshot.failure_count))
        remaining = max(0.0, snapshot.open_until - snapshot.as_of)
        return LocalChanges(name, remaining if account.opened else None, 0)

    def put_back(self, leftover: LocalChanges, *, counted: bool) -> None:
        """Put one back that could not be brought to the shared store; ``counted``: it may have taken the failures."""
        with self._lock:
            account = self._account(leftover.name)
            account.failures += 0 if counted else leftover.failures
            account.opened = account.opened or leftover.open_for is not None

    def _ask(self, ask: StoreCall) -> Any:
        return getattr(self._store, ask.operation)(*ask.arguments, **ask.keywords)

    def _begin(self, name: str) -> None:
        if not self._store.has(name) and (known := self._known.get(name)) is not None:
            self._store.adopt(name, _by_steady_clock(*known))

    def _heard(self, event: BreakerEvent) -> None:
        if isinstance(event, (Opened, Closed)):
            with self._lock:
                account = self._account(event.name)
                account.opened = isinstance(event, Opened)
        self._emit(event)

    def _account(self, name: str) -> _ChangeLog:
        return self._accounts.setdefault(name, _ChangeLog())


def _by_steady_clock(snapshot: Snapshot, asked_at: float) -> Row:
    """Return a breaker's row with its moments moved from the store's clock to this process's steady one."""
    shift = asked_at - snapshot.as_of

    def moved(moment: float) -> float:
        return max(0.0, moment + shift) if moment > 0.0 else 0.0

    return Row(
        state=snapshot.state.value,
        previous_state=snapshot.state.value,
        generation=snapshot.generation,
        failure_count=snapshot.failure_count,
        success_count=snapshot.success_count,
        last_failure_time=moved(snapshot.last_failure_time),
        open_until=moved(snapshot.open_until),
        open_seconds=snapshot.open_seconds,
        probe_token=snapshot.probe_token,
        probe_until=moved(snapshot.probe_until),
    )
