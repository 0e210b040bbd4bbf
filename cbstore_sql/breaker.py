"""The circuit breaker for synchronous callers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.events import Listener
from cbstore_sql.functions import refuse_awaitable_result, refuse_coroutine, refuse_generator
from cbstore_sql.gate import RENEWALS_PER_LEASE, Ask, Gate, Outcomes, Steps
from cbstore_sql.model import Permit, Snapshot, State, Transition, Verdict
from cbstore_sql.outage import OutagePolicy
from cbstore_sql.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.push import PushState, make_push
from cbstore_sql.refresh import Refresher
from cbstore_sql.steps import carry_out
from cbstore_sql.store import Store
from cbstore_sql.stores.combining import combining
from cbstore_sql.view import DEFAULT_MAX_STALENESS, make_view

P = ParamSpec("P")
T = TypeVar("T")

Fallback = Callable[[CircuitBreakerOpenError], Any]


class CircuitBreaker:
    """Guards calls; one object serves any number of breaker names, threads and, over a shared store, processes.

    A call is admitted, made, and its outcome reported. While the circuit is open, calls are refused; when its time
    has elapsed one caller of the whole fleet is let through as the probe, and its lease is renewed for as long as
    the call runs. An exception that counts is a failure, a return is a success; an outcome that says nothing about
    the dependency gives a probe back and leaves everything else alone.

    What the dependency answered or raised reaches the caller, whatever becomes of the report.

    Args:
        store: Where the breakers are kept.
        policy: Thresholds and times, for every name that ``policies`` does not know.
        policies: Policies by breaker name.
        record_on: Exceptions that count as failures.
        ignore: Exceptions that say nothing about the dependency although ``record_on`` names them.
        is_failure: Asked about the exceptions those two let through; ``False`` means it says nothing.
        is_failed_result: Asked about what a call returned; ``True`` makes it a failure.
        fallback: Called with the refusal in place of a refused call, and returned from; ``None`` raises it.
        reopen_on_no_verdict: What becomes of a probe that ends without a verdict (cancelled, interrupted, ignored):
            ``False`` frees its slot for the next caller, ``True`` opens the circuit again.
        on_store_outage: What to do with calls while the store does not answer: ``"allow"`` them, ``"block"`` them,
            or ``"raise"`` the store's error.
        listeners: Called with every event; see `cbstore_sql.events`.
        max_staleness: Seconds for which what this process last saw of a breaker may answer in the store's place: a
            healthy call then costs no I/O, and a failure elsewhere is noticed this much later at most. 0 asks the
            store at every call. A store in memory is asked every time anyway.
        flush_interval: Seconds a failure waits for others of this process, to be counted with them in one write;
            0 writes each on its own. A few thousandths take the load off a breaker that many calls fail on at once.
        push: Whether processes tell each other of changes of state at once, over PostgreSQL's LISTEN and NOTIFY. It
            takes a second connection and a thread; what it loses is noticed within ``max_staleness`` as without it.

    Raises:
        ConfigurationError: ``on_store_outage`` is none of the three, or the store cannot push.
        InvalidPolicyError: ``max_staleness`` or ``flush_interval`` is no number of seconds from 0.
    """

    def __init__(
        self,
        store: Store,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        policies: Mapping[str, BreakerPolicy] | None = None,
        record_on: tuple[type[BaseException], ...] = (Exception,),
        ignore: tuple[type[BaseException], ...] = (),
        is_failure: Callable[[BaseException], bool] | None = None,
        is_failed_result: Callable[[Any], bool] | None = None,
        fallback: Fallback | None = None,
        reopen_on_no_verdict: bool = False,
        on_store_outage: OutagePolicy = "allow",
        listeners: Iterable[Listener] = (),
        max_staleness: float = DEFAULT_MAX_STALENESS,
        flush_interval: float = 0.0,
        push: bool = False,
    ) -> None:
        self.store = combining(store, flush_interval)
        view = make_view(max_staleness, needed=not self.store.reads_locally)
        self._push = make_push(store, view, wanted=push)
        self.gate = Gate(
            policy,
            policies=policies,
            outcomes=Outcomes(record_on, ignore, is_failure, is_failed_result),
            reopen_on_no_verdict=reopen_on_no_verdict,
            on_store_outage=on_store_outage,
            listeners=listeners,
            view=view,
            announce=None if self._push is None else self._push.announce,
        )
        self._fallback = fallback
        self._refresher = None if view is None else Refresher(view, self.store)

    def __call__(self, name: str, *, fallback: Fallback | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorate a function so that each of its calls is guarded.

        Args:
            name: The breaker's name; functions that share it share the breaker.
            fallback: In place of the breaker's own.

        Raises:
            TypeError: On decoration: a generator function or a coroutine function.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            refuse_generator(function)
            refuse_coroutine(function)

            @functools.wraps(function)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
                return self._call(name, fallback or self._fallback, function, *args, **kwargs)

            return guarded

        return decorate

    def call(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one guarded call.

        Returns:
            What the function returned, or what the fallback did.

        Raises:
            CircuitBreakerOpenError: The call was refused and there is no fallback.
            TypeError: The function is a generator function or a coroutine function.
        """
        refuse_generator(function)
        refuse_coroutine(function)
        return self._call(name, self._fallback, function, *args, **kwargs)

    def guard(self, name: str) -> Guard:
        """Guard a block: ``with breaker.guard("billing"): …``. It gives the permit; leaving it settles.

        Raises:
            CircuitBreakerOpenError: On entering: the block was refused.
        """
        return Guard(self, name)

    def admit(self, name: str) -> Permit:
        """Ask for admission by hand; settle with `success`, `failure` or `release`.

        Nothing renews the lease of a probe admitted by hand but `renew`.

        Raises:
            CircuitBreakerOpenError: The call was refused.
        """
        permit = self.gate.admit_from_view(name)
        if permit is not None:
            return permit
        if self._refresher is not None:
            self._refresher.ensure()
        if self._push is not None:
            self._push.ensure()
        return self._drive(self.gate.admit(name))

    def success(self, permit: Permit) -> None:
        """Settle an admitted call: the dependency answered. A late or repeated report has no effect."""
        self.settle(permit, Verdict.SUCCESS)

    def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Settle an admitted call: it failed. A late or repeated report has no effect.

        Args:
            permit: What `admit` gave.
            error: What it failed with; an exception that does not count ends the call without a verdict.
                ``None`` counts.
        """
        self.settle(permit, Verdict.FAILURE if error is None else self.gate.outcomes.of_exception(error))

    def release(self, permit: Permit) -> None:
        """Settle an admitted call without a verdict: a probe's slot is free for the next caller."""
        self.settle(permit, Verdict.NONE)

    def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Settle an admitted call with a verdict. A late or repeated report has no effect."""
        self._drive(self.gate.settle(permit, verdict))

    def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe admitted by hand to a full ``probe_lease`` from now.

        Returns:
            Whether the probe is still the caller's; ``True`` too where the store does not answer.

        Raises:
            InvalidStateError: The permit never owned a probe.
        """
        return self._drive(self.gate.renew(permit))

    def snapshot(self, name: str) -> Snapshot:
        """Return the breaker as the store has it.

        Raises:
            StoreError: See `Store`.
        """
        return self.store.read(name)

    def state(self, name: str) -> State:
        """Return the breaker's state as the store has it.

        Raises:
            StoreError: See `Store`.
        """
        return self.snapshot(name).state

    def force_open(self, name: str, seconds: float) -> Transition:
        """Open the circuit for at least some seconds; see `Store.force_open`.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self.gate.force_open(name, seconds))

    def reset(self, name: str) -> Transition:
        """Close and clean the circuit; see `Store.reset`.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self.gate.reset(name))

    @property
    def push_state(self) -> PushState | None:
        """Return what became of ``push``; ``None`` without it."""
        return None if self._push is None else self._push.state

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self.gate.add_listener(listener)

    def close(self) -> None:
        """Stop refreshing the view in the background; the store stays open. The breaker can be used again."""
        if self._refresher is not None:
            self._refresher.close()
        if self._push is not None:
            self._push.close()

    def __enter__(self) -> CircuitBreaker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _call(
        self, name: str, fallback: Fallback | None, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            permit = self.gate.admit_from_view(name) or self.admit(name)
        except CircuitBreakerOpenError as refused:
            if fallback is None:
                raise
            answer: T = fallback(refused)
            return answer
        with _Settling(self, permit) as settling:
            result = function(*args, **kwargs)
            refuse_awaitable_result(function, result)
            settling.verdict = self.gate.outcomes.of_result(result)
        return result

    def _drive(self, steps: Steps[T]) -> T:
        """Carry out what the steps ask of the store, one after the other."""
        return carry_out(steps, self._ask)

    def _ask(self, ask: Ask) -> Any:
        return getattr(self.store, ask.operation)(*ask.arguments, **ask.keywords)


class _Settling:
    """From an admission to the report of its outcome; keeps a probe's lease in between."""

    def __init__(self, breaker: CircuitBreaker, permit: Permit) -> None:
        self._breaker = breaker
        self.permit = permit
        self.verdict = Verdict.SUCCESS

    def __enter__(self) -> _Settling:
        self._keeper = keep_lease(self._breaker, self.permit) if self.permit.is_probe else None
        self._began = self._breaker.gate.began()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._keeper is not None:
            self._keeper.set()
        gate = self._breaker.gate
        verdict = self.verdict if error is None else gate.outcomes.of_exception(error)
        gate.finished(self.permit.name, verdict, self._began)
        if gate.has_nothing_to_report(self.permit, verdict):
            return
        try:
            self._breaker.settle(self.permit, verdict)
        except Exception as failed:  # noqa: BLE001 - no report may replace the call's own outcome
            gate.report_failed(failed)


class Guard:
    """One guarded block, made by `CircuitBreaker.guard`; it can be entered again when it has been left."""

    def __init__(self, breaker: CircuitBreaker, name: str) -> None:
        self._breaker = breaker
        self._name = name

    def __enter__(self) -> Permit:
        self._settling = _Settling(self._breaker, self._breaker.admit(self._name)).__enter__()
        return self._settling.permit

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._settling.__exit__(kind, error, tb)


def keep_lease(breaker: CircuitBreaker, permit: Permit) -> threading.Event:
    """Renew a probe's lease in a thread of its own until the returned event is set or the lease is lost."""
    done = threading.Event()
    period = breaker.gate.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE

    def keep() -> None:
        try:
            while not done.wait(period) and breaker.renew(permit):
                pass
        except Exception as failed:  # noqa: BLE001 - a thread of ours has nobody to raise to
            breaker.gate.report_failed(failed)

    threading.Thread(target=keep, name="cbstore-lease", daemon=True).start()
    return done
