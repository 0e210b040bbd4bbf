"""A set of breakers that a test controls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.breaker.reentrancy import outside_probes
from cbstore_sql.core.model import Permit, State, UnreportedPermit
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.events import BreakerEvent
from cbstore_sql.stores.memory import AsyncInMemoryStore
from cbstore_sql.testing.clock import ManualClock
from cbstore_sql.testing.store import ControlledStore

Breaker = CircuitBreaker | AsyncCircuitBreaker
BreakerT = TypeVar("BreakerT", bound=Breaker)
EventT = TypeVar("EventT", bound=BreakerEvent)

_FORCED_SECONDS = 60.0


class Breakers:
    """A set of breakers over one store in memory, which a test controls.

    The set contains the breakers that `make`, `make_async` and `fleet` made, and the breakers of the application that
    `use` took over.

    Attributes:
        clock: The clock of the store. Everything with a time limit, such as an open circuit, ends by this clock.
        store: The store of all these breakers.
        events: Every event of these breakers, such as `Opened`, in order.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = ControlledStore(self.clock)
        self.events: list[BreakerEvent] = []
        self._made: list[Breaker] = []
        self._replaced: list[tuple[Breaker, dict[str, Any]]] = []

    def make(self, policy: BreakerPolicy = DEFAULT_POLICY, **options: Any) -> CircuitBreaker:
        """Make a breaker over `store`.

        Args:
            policy: The policy of the breaker, such as the number of failures that open the circuit.
            **options: Further arguments of `CircuitBreaker`.
        """
        return self._control(CircuitBreaker(self.store, policy, **options))

    def make_async(self, policy: BreakerPolicy = DEFAULT_POLICY, **options: Any) -> AsyncCircuitBreaker:
        """Make an `AsyncCircuitBreaker` over `store`.

        Args:
            policy: The policy of the breaker, such as the number of failures that open the circuit.
            **options: Further arguments of `AsyncCircuitBreaker`.
        """
        return self._control(AsyncCircuitBreaker(AsyncInMemoryStore.sharing(self.store), policy, **options))

    def use(self, breaker: BreakerT) -> BreakerT:
        """Connect a breaker of the application to `store` until `close`.

        Functions that the breaker decorates use `store` too. The policies, filters, fallback and listeners of the
        breaker stay. The view, batching and push are off, so that every call reads the store in memory.

        Args:
            breaker: A `CircuitBreaker` or an `AsyncCircuitBreaker`.

        Returns:
            ``breaker`` itself.

        Raises:
            ConfigurationError: ``breaker`` is not a breaker.
        """
        if not isinstance(breaker, Breaker):
            raise ConfigurationError(f"use() takes a CircuitBreaker, got {type(breaker).__name__}")
        self._replaced.append((breaker, dict(vars(breaker))))
        vars(breaker).update(vars(self._twin(breaker)))
        return self._control(breaker)

    def fleet(self, n: int, policy: BreakerPolicy = DEFAULT_POLICY, **options: Any) -> list[CircuitBreaker]:
        """Make ``n`` breakers that share their state as ``n`` processes would.

        Args:
            n: The number of breakers; at least 1.
            policy: The policy of the breaker, such as the number of failures that open the circuit.
            **options: Further arguments of `CircuitBreaker`.
        """
        return [self._control(_Process(self.store, policy, **options)) for _ in range(n)]

    def force(self, name: str, state: str, *, seconds: float = _FORCED_SECONDS) -> None:
        """Force a circuit into a state.

        Args:
            name: The breaker's name.
            state: ``"open"`` refuses calls for ``seconds`` seconds. ``"half_open"`` makes the next call the probe.
                ``"closed"`` closes the circuit and sets its counts of failures and successes to 0.
            seconds: The open time in seconds; used only for ``"open"``.

        Raises:
            ConfigurationError: ``state`` is not one of these three values.
        """
        if state not in (State.OPEN, State.HALF_OPEN, State.CLOSED):
            raise ConfigurationError(f"state must be 'open', 'half_open' or 'closed', got {state!r}")
        self.store.reset(name)
        if state == State.OPEN:
            self.store.force_open(name, seconds)
        elif state == State.HALF_OPEN:
            self.store.force_open(name, 0.0)
            claim = self.store.claim_probe(name)
            if claim is not None:
                self.store.release_probe(claim.permit)

    def state(self, name: str) -> Literal["closed", "open", "half_open"]:
        """Return the state of the circuit ``name``."""
        return self.store.read(name).state.value

    def events_of(self, kind: type[EventT]) -> list[EventT]:
        """Return the events of the class ``kind``, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Make every operation of the store fail for the duration of a ``with`` block.

        After the block, every synchronous breaker uses the store again at once.
        """
        with self.store.outage():
            yield
        for breaker in self._made:
            if isinstance(breaker, CircuitBreaker):
                breaker.check_store()

    def set_active(self, active: bool) -> None:
        """Switch these breakers on or off. A breaker that is off admits every call and counts nothing.

        Args:
            active: ``False`` switches off all breakers that `make`, `make_async`, `fleet` and `use` have returned so
                far; ``True`` switches them on.
        """
        for breaker in self._made:
            breaker._controller.fresh_permit = _ask_the_store if active else _admit_unreported

    def close(self) -> None:
        """Restore the breakers that `use` took over, and close the breakers that were made for the test."""
        for breaker, attributes in reversed(self._replaced):
            vars(breaker).clear()
            vars(breaker).update(attributes)
        self._replaced.clear()
        for breaker in self._made:
            if isinstance(breaker, CircuitBreaker):
                breaker.close()
        self._made.clear()

    def _control(self, breaker: BreakerT) -> BreakerT:
        breaker.add_listener(self.events.append)
        self._made.append(breaker)
        return breaker

    def _twin(self, breaker: Breaker) -> Breaker:
        """Return a new breaker over `store` with the settings of ``breaker``."""
        controller = breaker._controller
        settings: dict[str, Any] = {
            "policies": controller.policies,
            "on_store_outage": controller.outage.detector.policy,
            "reopen_on_no_verdict": controller._shared._reopen,
            "fallback": breaker._fallback,
            "listeners": controller.notifier.listeners,
        }
        twin: Breaker
        if isinstance(breaker, CircuitBreaker):
            twin = CircuitBreaker(self.store, controller.policy, **settings)
        else:
            twin = AsyncCircuitBreaker(AsyncInMemoryStore.sharing(self.store), controller.policy, **settings)
        twin._controller.outcomes = controller.outcomes
        return twin


class _Process(CircuitBreaker):
    """A breaker that behaves as in a separate process.

    A call of this breaker inside the probe of another breaker is a separate call. In `CircuitBreaker`, such a call is a
    nested call, which is a part of the probe.
    """

    def _admit_without_io(self, name: str) -> Permit | None:
        with outside_probes():
            return super()._admit_without_io(name)

    def _admit(self, name: str) -> Permit:
        with outside_probes():
            return super()._admit(name)


def _admit_unreported(name: str) -> Permit | None:
    return UnreportedPermit(name, 0)


def _ask_the_store(name: str) -> Permit | None:
    return None
