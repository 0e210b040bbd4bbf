"""The circuit breaker for synchronous callers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.breaker.callables import refuse_awaitable_result, require_plain_function
from cbstore_sql.breaker.controller import HAND_OVER_TIMEOUT, BreakerController
from cbstore_sql.breaker.flow import StoreCalls
from cbstore_sql.breaker.guard import Guard, GuardedCall, report
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.breaker.outcomes import SUCCESS, OutcomeClassifier
from cbstore_sql.breaker.push import make_push
from cbstore_sql.breaker.view import DEFAULT_MAX_STALENESS, make_view
from cbstore_sql.core.model import Permit, Snapshot, State, Transition, Verdict
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import DEFAULT_STORE_TIMEOUT, check_flush_interval, check_store_timeout
from cbstore_sql.deadline import within
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.events import Listener
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.backoff import ExponentialBackoff
from cbstore_sql.runtime.periodic import Periodic
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.batching import combining
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.push import PushState
from cbstore_sql.stores.timeout import TimeoutWorkers

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
        store_timeout: Seconds within which the store must answer an admission or a report, all told: waiting for a
            connection, opening it, the statement, its repetitions. ``None`` waits for as long as it takes.
        on_store_outage: What becomes of calls while the store does not answer, or its table is missing. ``"local"``:
            this process goes on with breakers of its own, which begin as they were last known; a circuit that opened
            meanwhile is kept open when the store answers again. ``"allow"``: every call is let through, ``"block"``:
            every call is refused, ``"raise"``: every call raises a `StoreError`; their outcomes are not counted.
            After the first call that noticed it, no call waits for the store: it is asked again in the background.
        listeners: Called with every event; see `cbstore_sql.events`.
        max_staleness: Seconds for which what this process last saw of a breaker may answer in the store's place: a
            healthy call then costs no I/O, and a failure elsewhere is noticed this much later at most. 0 asks the
            store at every call. A store in memory is asked every time anyway.
        flush_interval: Seconds a failure waits for others of this process, to be counted with them in one write, where
            it came while another was being written; one that comes alone does not wait. 0 writes each on its own. A
            few thousandths take the load off a breaker that many calls fail on at once.
        push: Whether processes tell each other of changes of state at once, over PostgreSQL's LISTEN and NOTIFY. It
            takes a second connection and a thread; what it loses is noticed within ``max_staleness`` as without it.

    Raises:
        ConfigurationError: ``on_store_outage`` is none of the four, or the store cannot push.
        InvalidPolicyError: ``max_staleness`` or ``flush_interval`` is no number of seconds from 0, ``store_timeout``
            none above 0, or ``flush_interval`` not shorter than it.
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
        store_timeout: float | None = DEFAULT_STORE_TIMEOUT,
        on_store_outage: OutagePolicy = "local",
        listeners: Iterable[Listener] = (),
        max_staleness: float = DEFAULT_MAX_STALENESS,
        flush_interval: float = 0.0,
        push: bool = False,
    ) -> None:
        self._timeout = check_store_timeout(store_timeout)
        self.store = combining(store, check_flush_interval(flush_interval, self._timeout))
        self._workers = TimeoutWorkers() if store_timeout is not None and not self.store.keeps_deadlines else None
        view = make_view(max_staleness, needed=not self.store.reads_locally)
        self._push = make_push(store, view, wanted=push)
        self.controller = BreakerController(
            policy,
            policies=policies,
            outcomes=OutcomeClassifier(record_on, ignore, is_failure, is_failed_result),
            reopen_on_no_verdict=reopen_on_no_verdict,
            on_store_outage=on_store_outage,
            listeners=listeners,
            view=view,
            announce=None if self._push is None else self._push.announce,
        )
        self._fallback = fallback
        self._refresher = None if view is None else Periodic("cbstore-view", lambda: view.period, self._refresh)
        self._recovery = Periodic("cbstore-recovery", ExponentialBackoff().next, self._recover)
        self.controller.watch = self._recovery.ensure

    def __call__(self, name: str, *, fallback: Fallback | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorate a function so that each of its calls is guarded.

        Args:
            name: The breaker's name; functions that share it share the breaker.
            fallback: In place of the breaker's own.

        Raises:
            TypeError: On decoration: a generator function or a coroutine function.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            require_plain_function(function)

            @functools.wraps(function)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
                return self._call(name, fallback or self._fallback, function, args, kwargs)

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
        require_plain_function(function)
        return self._call(name, self._fallback, function, args, kwargs)

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
        permit = self.controller.admit_without_io(name)
        if permit is not None:
            return permit
        if self._refresher is not None:
            self._refresher.ensure()
        if self._push is not None:
            self._push.ensure()
        return self._drive(self.controller.admit(name))

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
        self.settle(permit, Verdict.FAILURE if error is None else self.controller.outcomes.classify_exception(error))

    def release(self, permit: Permit) -> None:
        """Settle an admitted call without a verdict: a probe's slot is free for the next caller."""
        self.settle(permit, Verdict.NONE)

    def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Settle an admitted call with a verdict. A late or repeated report has no effect."""
        if not self.controller.settle_without_io(permit, verdict):
            self._drive(self.controller.settle(permit, verdict))

    def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe admitted by hand to a full ``probe_lease`` from now.

        Returns:
            Whether the probe is still the caller's; ``True`` too where the store does not answer.

        Raises:
            InvalidStateError: The permit never owned a probe.
        """
        return self._drive(self.controller.renew(permit))

    def snapshot(self, name: str) -> Snapshot:
        """Return the breaker as the store has it.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self.controller.snapshot(name))

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
        return self._drive(self.controller.force_open(name, seconds))

    def trip(self, name: str, seconds: float) -> None:
        """Open the circuit for at least some seconds because the dependency asked for it (a ``Retry-After``).

        Unlike `force_open` it goes by the outage policy where the store does not answer.
        """
        self._drive(self.controller.trip(name, seconds))

    def seen(self, name: str) -> Snapshot:
        """Return the breaker as the next call would find it; while the store is out, as this process has it."""
        return self._drive(self.controller.seen(name))

    def reset(self, name: str) -> Transition:
        """Close and clean the circuit; see `Store.reset`.

        Raises:
            StoreError: See `Store`.
        """
        return self._drive(self.controller.reset(name))

    def check_store(self) -> bool:
        """Ask a store that did not answer once more, now, and bring to it what happened without it.

        Returns:
            Whether it answers; ``True`` at once where it did not fail.
        """
        if not self._drive(self.controller.answers()):
            return False
        with within(HAND_OVER_TIMEOUT):
            return sansio.run(self.controller.recover(), self._ask)

    @property
    def push_state(self) -> PushState | None:
        """Return what became of ``push``; ``None`` without it."""
        return None if self._push is None else self._push.state

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self.controller.add_listener(listener)

    def close(self) -> None:
        """Stop what goes on in the background; the store stays open. The breaker can be used again."""
        self._recovery.close()
        if self._refresher is not None:
            self._refresher.close()
        if self._push is not None:
            self._push.close()

    def __enter__(self) -> CircuitBreaker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _call(
        self,
        name: str,
        fallback: Fallback | None,
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        controller = self.controller
        try:
            permit = controller.admitted(name) or controller.admit_without_io(name) or self.admit(name)
        except CircuitBreakerOpenError as refused:
            if fallback is None:
                raise
            answer: T = fallback(refused)
            return answer
        if permit.token or controller.listeners:
            return self._attended(permit, function, args, kwargs)
        try:
            result = function(*args, **kwargs)
            refuse_awaitable_result(function, result)
            verdict = controller.outcomes.classify_result(result)
        except BaseException as error:
            report(self, permit, controller.outcomes.classify_exception(error))
            raise
        if verdict is not SUCCESS or not controller.is_clean(permit):
            report(self, permit, verdict)
        return result

    def _attended(
        self, permit: Permit, function: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> T:
        """Make a call whose lease is to be kept, or that somebody listens to."""
        with GuardedCall(self, permit) as settling:
            result = function(*args, **kwargs)
            refuse_awaitable_result(function, result)
            settling.verdict = self.controller.outcomes.classify_result(result)
        return result

    def _share(self, controller: BreakerController) -> None:
        """Decide with another breaker's controller, and see for both when the store answers again."""
        self.controller = controller
        controller.watch = self._recovery.ensure

    def _ask_in_time(self, ask: StoreCall) -> Any:
        """Ask the store one thing, within a deadline of its own.

        Raises:
            StoreError: See `Store`.
        """
        with within(self._timeout):
            return self._ask(ask)

    def _recover(self) -> bool:
        return not self.check_store()

    def _refresh(self) -> bool:
        return self._drive(self.controller.refresh())

    def _drive(self, steps: StoreCalls[T]) -> T:
        """Carry out what the steps ask of the store, one after the other, within one deadline."""
        with within(self._timeout):
            return sansio.run(steps, self._ask)

    def _ask(self, ask: StoreCall) -> Any:
        operation = getattr(self.store, ask.operation)
        if self._workers is None:
            return operation(*ask.arguments, **ask.keywords)
        return self._workers.carry_out(ask, functools.partial(operation, *ask.arguments, **ask.keywords))
