"""The circuit breaker for callers in an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.async_refresh import AsyncRefresher
from cbstore_sql.async_store import AsyncStore
from cbstore_sql.background import carried_through, in_background
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.events import Listener
from cbstore_sql.functions import is_coroutine_function, refuse_generator
from cbstore_sql.gate import RENEWALS_PER_LEASE, Ask, Gate, Outcomes, Steps
from cbstore_sql.model import Permit, Snapshot, State, Transition, Verdict
from cbstore_sql.outage import OutagePolicy
from cbstore_sql.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.push import PushState, make_push
from cbstore_sql.steps import carry_out_async
from cbstore_sql.store import Store
from cbstore_sql.stores.async_combining import async_combining
from cbstore_sql.stores.threaded import as_async
from cbstore_sql.view import DEFAULT_MAX_STALENESS, make_view

P = ParamSpec("P")
T = TypeVar("T")

AsyncFallback = Callable[[CircuitBreakerOpenError], Any]


class AsyncCircuitBreaker:
    """`CircuitBreaker`, awaited: the same calls, arguments, rules and events.

    Cancelling a call at any await leaves nothing behind: a probe claimed for it is given back, and the report of an
    outcome is carried through in the background. A cancelled call counts neither as success nor as failure.

    Args:
        store: Where the breakers are kept. A synchronous `Store` works too: its operations run in threads, so that
            they never block the event loop.
        policy: See `CircuitBreaker`, like all that follow.
        policies: Policies by breaker name.
        record_on: Exceptions that count as failures.
        ignore: Exceptions that say nothing about the dependency although ``record_on`` names them.
        is_failure: Asked about the exceptions those two let through; ``False`` means it says nothing.
        is_failed_result: Asked about what a call returned; ``True`` makes it a failure.
        fallback: Called with the refusal in place of a refused call; what it returns is awaited if it can be.
        reopen_on_no_verdict: ``False`` frees the slot of a probe without a verdict, ``True`` opens the circuit.
        on_store_outage: ``"allow"``, ``"block"`` or ``"raise"``.
        listeners: Called with every event, in the event loop; see `cbstore_sql.events`.
        max_staleness: Seconds for which what was last seen may answer in the store's place.
        flush_interval: Seconds a failure waits for others of this process, to be counted with them in one write.
        push: See `CircuitBreaker`. It listens in a thread; an `AsyncSqlStore` must have been made for a URL.

    Raises:
        ConfigurationError: ``on_store_outage`` is none of the three, or the store cannot push.
        InvalidPolicyError: ``max_staleness`` or ``flush_interval`` is no number of seconds from 0.
    """

    def __init__(
        self,
        store: AsyncStore | Store,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        policies: Mapping[str, BreakerPolicy] | None = None,
        record_on: tuple[type[BaseException], ...] = (Exception,),
        ignore: tuple[type[BaseException], ...] = (),
        is_failure: Callable[[BaseException], bool] | None = None,
        is_failed_result: Callable[[Any], bool] | None = None,
        fallback: AsyncFallback | None = None,
        reopen_on_no_verdict: bool = False,
        on_store_outage: OutagePolicy = "allow",
        listeners: Iterable[Listener] = (),
        max_staleness: float = DEFAULT_MAX_STALENESS,
        flush_interval: float = 0.0,
        push: bool = False,
    ) -> None:
        self.store = async_combining(as_async(store), flush_interval)
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
        self._refresher = None if view is None else AsyncRefresher(view, self.store)

    def __call__(
        self, name: str, *, fallback: AsyncFallback | None = None
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
        """Decorate a coroutine function so that each of its calls is guarded.

        Args:
            name: The breaker's name; functions that share it share the breaker.
            fallback: In place of the breaker's own.

        Raises:
            TypeError: On decoration: no coroutine function.
        """

        def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
            refuse_generator(function)
            if not is_coroutine_function(function):
                raise TypeError(f"{function!r} is no coroutine function: guard it with CircuitBreaker")

            @functools.wraps(function)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
                return await self._call(name, fallback or self._fallback, function, *args, **kwargs)

            return guarded

        return decorate

    async def call(self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one guarded call; see `CircuitBreaker.call`.

        Args:
            name: The breaker's name.
            function: Called with the other arguments; what it returns is awaited.
            *args: Passed on.
            **kwargs: Passed on.

        Raises:
            CircuitBreakerOpenError: The call was refused and there is no fallback.
            TypeError: The function is a generator function.
        """
        refuse_generator(function)
        return await self._call(name, self._fallback, function, *args, **kwargs)

    def guard(self, name: str) -> AsyncGuard:
        """Guard a block: ``async with breaker.guard("billing"): …``; see `CircuitBreaker.guard`."""
        return AsyncGuard(self, name)

    async def admit(self, name: str) -> Permit:
        """Ask for admission by hand; see `CircuitBreaker.admit`. Cancelled, it gives back a probe it won."""
        permit = self.gate.admit_from_view(name)
        if permit is not None:
            return permit
        if self._refresher is not None:
            self._refresher.ensure()
        if self._push is not None:
            self._push.ensure()
        admission = self._drive(self.gate.admit(name))
        return await carried_through(admission, abandoned=self.release)

    async def success(self, permit: Permit) -> None:
        """Settle an admitted call: the dependency answered; see `CircuitBreaker.success`."""
        await self.settle(permit, Verdict.SUCCESS)

    async def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Settle an admitted call: it failed; see `CircuitBreaker.failure`."""
        await self.settle(permit, Verdict.FAILURE if error is None else self.gate.outcomes.of_exception(error))

    async def release(self, permit: Permit) -> None:
        """Settle an admitted call without a verdict; see `CircuitBreaker.release`."""
        await self.settle(permit, Verdict.NONE)

    async def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Settle an admitted call with a verdict; once begun it is carried through."""
        await carried_through(self._drive(self.gate.settle(permit, verdict)))

    async def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe admitted by hand; see `CircuitBreaker.renew`."""
        return await carried_through(self._drive(self.gate.renew(permit)))

    async def snapshot(self, name: str) -> Snapshot:
        """Return the breaker as the store has it; see `CircuitBreaker.snapshot`."""
        return await self.store.read(name)

    async def state(self, name: str) -> State:
        """Return the breaker's state as the store has it; see `CircuitBreaker.state`."""
        return (await self.snapshot(name)).state

    async def force_open(self, name: str, seconds: float) -> Transition:
        """Open the circuit for at least some seconds; see `CircuitBreaker.force_open`."""
        return await carried_through(self._drive(self.gate.force_open(name, seconds)))

    async def reset(self, name: str) -> Transition:
        """Close and clean the circuit; see `CircuitBreaker.reset`."""
        return await carried_through(self._drive(self.gate.reset(name)))

    @property
    def push_state(self) -> PushState | None:
        """Return what became of ``push``; ``None`` without it."""
        return None if self._push is None else self._push.state

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self.gate.add_listener(listener)

    async def close(self) -> None:
        """Stop refreshing the view in the background; see `CircuitBreaker.close`."""
        if self._refresher is not None:
            await self._refresher.close()
        if self._push is not None:
            await asyncio.to_thread(self._push.close)

    async def __aenter__(self) -> AsyncCircuitBreaker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(
        self,
        name: str,
        fallback: AsyncFallback | None,
        function: Callable[P, Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            permit = self.gate.admit_from_view(name) or await self.admit(name)
        except CircuitBreakerOpenError as refused:
            if fallback is None:
                raise
            answer = fallback(refused)
            resolved: T = await answer if isinstance(answer, Awaitable) else answer
            return resolved
        async with _Settling(self, permit) as settling:
            result = await function(*args, **kwargs)
            settling.verdict = self.gate.outcomes.of_result(result)
        return result

    async def _drive(self, steps: Steps[T]) -> T:
        """Carry out what the steps ask of the store, one after the other."""
        return await carry_out_async(steps, self._ask)

    async def _ask(self, ask: Ask) -> Any:
        return await getattr(self.store, ask.operation)(*ask.arguments, **ask.keywords)


class _Settling:
    """From an admission to the report of its outcome; keeps a probe's lease in between."""

    def __init__(self, breaker: AsyncCircuitBreaker, permit: Permit) -> None:
        self._breaker = breaker
        self.permit = permit
        self.verdict = Verdict.SUCCESS

    async def __aenter__(self) -> _Settling:
        self._keeper = in_background(_keep_lease(self._breaker, self.permit)) if self.permit.is_probe else None
        self._began = self._breaker.gate.began()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        gate = self._breaker.gate
        verdict = self.verdict if error is None else gate.outcomes.of_exception(error)
        gate.finished(self.permit.name, verdict, self._began)
        if isinstance(error, GeneratorExit):
            # The coroutine is being closed and cannot await any more; a probe's lease runs out.
            return
        if gate.has_nothing_to_report(self.permit, verdict):
            return
        try:
            await self._breaker.settle(self.permit, verdict)
        except Exception as failed:  # noqa: BLE001 - no report may replace the call's own outcome
            gate.report_failed(failed)


class AsyncGuard:
    """One guarded block, made by `AsyncCircuitBreaker.guard`; it can be entered again when it has been left."""

    def __init__(self, breaker: AsyncCircuitBreaker, name: str) -> None:
        self._breaker = breaker
        self._name = name

    async def __aenter__(self) -> Permit:
        self._settling = await _Settling(self._breaker, await self._breaker.admit(self._name)).__aenter__()
        return self._settling.permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._settling.__aexit__(kind, error, tb)


async def _keep_lease(breaker: AsyncCircuitBreaker, permit: Permit) -> None:
    """Renew a probe's lease until cancelled or until it is lost."""
    period = breaker.gate.policy_for(permit.name).probe_lease / RENEWALS_PER_LEASE
    try:
        while True:
            await asyncio.sleep(period)
            if not await breaker.renew(permit):
                return
    except Exception as failed:  # noqa: BLE001 - a task of ours has nobody to raise to
        breaker.gate.report_failed(failed)
