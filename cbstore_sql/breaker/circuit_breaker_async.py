"""The circuit breaker for callers in an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.breaker.callables import is_coroutine_function, refuse_generator
from cbstore_sql.breaker.controller import HAND_OVER_TIMEOUT, BreakerController
from cbstore_sql.breaker.flow import StoreCalls
from cbstore_sql.breaker.guard_async import AsyncGuard, AsyncGuardedCall, report
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
from cbstore_sql.runtime.periodic_async import AsyncPeriodic
from cbstore_sql.runtime.tasks import run_to_completion
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.batching_async import async_combining
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.push import PushState
from cbstore_sql.stores.threaded import as_async
from cbstore_sql.stores.timeout_async import by_deadline

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
        store_timeout: Seconds within which the store must answer an admission or a report; ``None``: for ever.
        on_store_outage: ``"local"``, ``"allow"``, ``"block"`` or ``"raise"``.
        listeners: Called with every event, in the event loop; see `cbstore_sql.events`.
        max_staleness: Seconds for which what was last seen may answer in the store's place.
        flush_interval: Seconds a failure that does not come alone waits for others of this process, to be counted with
            them in one write; see `CircuitBreaker`.
        push: See `CircuitBreaker`. It listens in a thread; an `AsyncSqlStore` must have been made for a URL.

    Raises:
        ConfigurationError: ``on_store_outage`` is none of the four, or the store cannot push.
        InvalidPolicyError: ``max_staleness`` or ``flush_interval`` is no number of seconds from 0, ``store_timeout``
            none above 0, or ``flush_interval`` not shorter than it.
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
        store_timeout: float | None = DEFAULT_STORE_TIMEOUT,
        on_store_outage: OutagePolicy = "local",
        listeners: Iterable[Listener] = (),
        max_staleness: float = DEFAULT_MAX_STALENESS,
        flush_interval: float = 0.0,
        push: bool = False,
    ) -> None:
        self._timeout = check_store_timeout(store_timeout)
        self.store = async_combining(as_async(store), check_flush_interval(flush_interval, self._timeout))
        self._abandons = store_timeout is not None and not self.store.keeps_deadlines
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
        self._refresher = None if view is None else AsyncPeriodic("cbstore-view", lambda: view.period, self._refresh)
        self._recovery = AsyncPeriodic("cbstore-recovery", ExponentialBackoff().next, self._recover)
        self.controller.watch = self._recovery.ensure

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
                return await self._call(name, fallback or self._fallback, function, args, kwargs)

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
        return await self._call(name, self._fallback, function, args, kwargs)

    def guard(self, name: str) -> AsyncGuard:
        """Guard a block: ``async with breaker.guard("billing"): …``; see `CircuitBreaker.guard`."""
        return AsyncGuard(self, name)

    async def admit(self, name: str) -> Permit:
        """Ask for admission by hand; see `CircuitBreaker.admit`. Cancelled, it gives back a probe it won."""
        permit = self.controller.admit_without_io(name)
        if permit is not None:
            return permit
        if self._refresher is not None:
            self._refresher.ensure()
        if self._push is not None:
            self._push.ensure()
        admission = self._drive(self.controller.admit(name))
        return await run_to_completion(admission, abandoned=self.release)

    async def success(self, permit: Permit) -> None:
        """Settle an admitted call: the dependency answered; see `CircuitBreaker.success`."""
        await self.settle(permit, Verdict.SUCCESS)

    async def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Settle an admitted call: it failed; see `CircuitBreaker.failure`."""
        await self.settle(
            permit, Verdict.FAILURE if error is None else self.controller.outcomes.classify_exception(error)
        )

    async def release(self, permit: Permit) -> None:
        """Settle an admitted call without a verdict; see `CircuitBreaker.release`."""
        await self.settle(permit, Verdict.NONE)

    async def settle(self, permit: Permit, verdict: Verdict) -> None:
        """Settle an admitted call with a verdict; once begun it is carried through."""
        if not self.controller.settle_without_io(permit, verdict):
            await run_to_completion(self._drive(self.controller.settle(permit, verdict)))

    async def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe admitted by hand; see `CircuitBreaker.renew`."""
        return await run_to_completion(self._drive(self.controller.renew(permit)))

    async def snapshot(self, name: str) -> Snapshot:
        """Return the breaker as the store has it; see `CircuitBreaker.snapshot`."""
        return await run_to_completion(self._drive(self.controller.snapshot(name)))

    async def state(self, name: str) -> State:
        """Return the breaker's state as the store has it; see `CircuitBreaker.state`."""
        return (await self.snapshot(name)).state

    async def force_open(self, name: str, seconds: float) -> Transition:
        """Open the circuit for at least some seconds; see `CircuitBreaker.force_open`."""
        return await run_to_completion(self._drive(self.controller.force_open(name, seconds)))

    async def trip(self, name: str, seconds: float) -> None:
        """Open the circuit for at least some seconds because the dependency asked for it (a ``Retry-After``).

        Unlike `force_open` it goes by the outage policy where the store does not answer.
        """
        await run_to_completion(self._drive(self.controller.trip(name, seconds)))

    async def seen(self, name: str) -> Snapshot:
        """Return the breaker as the next call would find it; while the store is out, as this process has it."""
        return await run_to_completion(self._drive(self.controller.seen(name)))

    async def reset(self, name: str) -> Transition:
        """Close and clean the circuit; see `CircuitBreaker.reset`."""
        return await run_to_completion(self._drive(self.controller.reset(name)))

    async def check_store(self) -> bool:
        """Ask a store that did not answer once more, now; see `CircuitBreaker.check_store`."""
        return await run_to_completion(self._check_store())

    @property
    def push_state(self) -> PushState | None:
        """Return what became of ``push``; ``None`` without it."""
        return None if self._push is None else self._push.state

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""
        self.controller.add_listener(listener)

    async def close(self) -> None:
        """Stop what goes on in the background; see `CircuitBreaker.close`."""
        await self._recovery.close()
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
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        controller = self.controller
        try:
            permit = controller.admitted(name) or controller.admit_without_io(name) or await self.admit(name)
        except CircuitBreakerOpenError as refused:
            if fallback is None:
                raise
            answer = fallback(refused)
            resolved: T = await answer if isinstance(answer, Awaitable) else answer
            return resolved
        if permit.token or controller.listeners:
            return await self._attended(permit, function, args, kwargs)
        try:
            result = await function(*args, **kwargs)
            verdict = controller.outcomes.classify_result(result)
        except BaseException as error:
            await report(self, permit, controller.outcomes.classify_exception(error), error)
            raise
        if verdict is not SUCCESS or not controller.is_clean(permit):
            await report(self, permit, verdict)
        return result

    async def _attended(
        self,
        permit: Permit,
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        """Make a call whose lease is to be kept, or that somebody listens to."""
        async with AsyncGuardedCall(self, permit) as settling:
            result = await function(*args, **kwargs)
            settling.verdict = self.controller.outcomes.classify_result(result)
        return result

    async def _refresh(self) -> bool:
        return await self._drive(self.controller.refresh())

    async def _check_store(self) -> bool:
        if not await self._drive(self.controller.answers()):
            return False
        with within(HAND_OVER_TIMEOUT):
            return await sansio.run_async(self.controller.recover(), self._ask)

    async def _recover(self) -> bool:
        return not await self.check_store()

    async def _drive(self, steps: StoreCalls[T]) -> T:
        """Carry out what the steps ask of the store, one after the other, within one deadline."""
        with within(self._timeout):
            return await sansio.run_async(steps, self._ask)

    async def _ask(self, ask: StoreCall) -> Any:
        operation = getattr(self.store, ask.operation)(*ask.arguments, **ask.keywords)
        return await (by_deadline(ask, operation) if self._abandons else operation)
