"""The circuit breaker for callers in an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.breaker.arguments import check_decorator_name, check_fallback, check_permit
from cbstore_sql.breaker.base import BreakerBase, Fallback
from cbstore_sql.breaker.callables import require_awaitable, require_awaited_function, require_no_generator
from cbstore_sql.breaker.flow import StoreCalls, soonest
from cbstore_sql.breaker.guard_async import AsyncGuard, AsyncGuardedCall
from cbstore_sql.breaker.notifier_async import AsyncNotifier
from cbstore_sql.breaker.outage.failures import raise_store_error
from cbstore_sql.breaker.outage.recovery import HAND_OVER_TIMEOUT
from cbstore_sql.breaker.outcomes import SUCCESS
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import PLAIN_PERMITS, OverrideMode, Permit, Snapshot, State, Transition, Verdict
from cbstore_sql.deadline import within
from cbstore_sql.errors import CircuitBreakerOpenError, InvalidArgumentError
from cbstore_sql.runtime import sansio
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.runtime.periodic_async import AsyncPeriodic
from cbstore_sql.runtime.tasks import in_background, run_to_completion
from cbstore_sql.runtime.workers import DaemonWorkers
from cbstore_sql.runtime.workers_async import run_in_thread
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.batching_async import async_combining
from cbstore_sql.stores.call import StoreCall
from cbstore_sql.stores.threaded import as_async
from cbstore_sql.stores.timeout_async import by_deadline

P = ParamSpec("P")
T = TypeVar("T")


class AsyncCircuitBreaker(BreakerBase[AsyncStore | Store, AsyncStore, AsyncPeriodic]):
    """A circuit breaker for callers in an event loop, with the arguments, rules and events of `CircuitBreaker`.

    A call can be cancelled at any await. If the cancelled call is a probe, the breaker releases the probe. A report
    that has begun goes on to its end in the background. A cancelled call counts neither as a success nor as a failure.

    See `BreakerBase.__init__` for the arguments.
    """

    _background = AsyncPeriodic
    _notifier = AsyncNotifier
    _awaits = True

    def __call__(
        self, name: str, *, fallback: Fallback | None = None
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
        """Decorate a coroutine function so that the breaker guards each of its calls.

        The function may also be a partial, a callable object or a wrapper around a coroutine function, such as a method
        of an API client.

        Args:
            name: The breaker's name. Functions with the same name share the breaker.
            fallback: A function that replaces the breaker's fallback; ``None`` means the breaker's fallback.

        Raises:
            InvalidArgumentError: ``name`` or ``fallback`` is of the wrong kind. Or, when the function is decorated: the
                result of the function is not awaited.
            InvalidNameError: ``name`` is not a valid breaker name.
        """
        check_decorator_name(name)
        own_fallback = check_fallback(fallback, awaits=self._awaits) or self._fallback

        def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
            require_awaited_function(function)

            @functools.wraps(function)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
                return await self._call(name, own_fallback, function, args, kwargs)

            return guarded

        return decorate

    async def call(self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one guarded call; see `CircuitBreaker.call`.

        Args:
            name: The breaker's name.
            function: The function to call. The breaker awaits the function's result.
            *args: The positional arguments for the function.
            **kwargs: The keyword arguments for the function.

        Returns:
            The awaited result of the function or, for a refused call, the result of the fallback.

        Raises:
            CircuitBreakerOpenError: The call was refused and there is no fallback.
            InvalidArgumentError: The function is not callable, is a generator function, or returned something that
                cannot be awaited.
        """
        require_no_generator(function)
        return await self._call(name, self._fallback, function, args, kwargs)

    def guard(self, name: str) -> AsyncGuard:
        """Return a guard for a block: ``async with breaker.guard("billing"): …``; see `CircuitBreaker.guard`."""
        return AsyncGuard(name, self.admit, self._controller, self._report, self._renew)

    async def admit(self, name: str) -> Permit:
        """Admit a call by hand; see `CircuitBreaker.admit`. A cancelled `admit` releases a probe that it won."""
        return self._controller.fresh_permit(name) or await self._admit(name)

    async def admit_first(self, names: Sequence[str]) -> Permit:
        """Admit a call by hand through the first of several breakers that admits calls, for a failover chain.

        For a breaker that this process read within the last ``max_staleness`` seconds, the method usually does no I/O.
        One store operation reads all other breakers.

        Args:
            names: The breakers' names, the most preferred first; at least one.

        Returns:
            The permit; its ``name`` is the name of the breaker that admitted the call. Report the outcome with this
            permit.

        Raises:
            CircuitBreakerOpenError: No breaker admits the call. The error is the refusal with the shortest
                ``retry_after``.
            InvalidArgumentError: ``names`` is empty, or is a single string.
        """
        if isinstance(names, str) or not names:
            raise InvalidArgumentError("admit_first takes a sequence of one name or more")
        permit, ask, refusals = self._first_without_io(names)
        if permit is not None:
            return permit
        try:
            if ask:
                return await run_to_completion(
                    self._drive(self._controller.first_admission(ask)), abandoned=self.release
                )
        except CircuitBreakerOpenError as refused:
            refusals.append(refused)
        raise soonest(refusals, names[0])

    async def success(self, permit: Permit) -> None:
        """Report that an admitted call succeeded; see `CircuitBreaker.success`."""
        verdict = self._controller.slow_calls.judge(check_permit(permit), SUCCESS)
        if verdict is not SUCCESS or not self._controller.takes_success(permit):
            await self._settle(permit, verdict)

    async def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Report that an admitted call failed; see `CircuitBreaker.failure`."""
        await self._settle(check_permit(permit), self._verdict_of(error))

    async def release(self, permit: Permit) -> None:
        """End an admitted call without a verdict; see `CircuitBreaker.release`."""
        await self._settle(check_permit(permit), Verdict.NONE)

    async def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe that was admitted by hand; see `CircuitBreaker.renew`."""
        self.progress(permit)
        return await self._renew(permit)

    async def snapshot(self, name: str) -> Snapshot:
        """Read one breaker from the store; see `CircuitBreaker.snapshot`."""
        return await run_to_completion(self._drive(self._controller.snapshot(name)))

    async def state(self, name: str) -> State:
        """Read the state of one breaker from the store; see `CircuitBreaker.state`."""
        return (await self.snapshot(name)).state

    async def force_open(self, name: str, seconds: float) -> Transition:
        """Open a circuit for at least ``seconds`` seconds from now; see `CircuitBreaker.force_open`."""
        return await run_to_completion(self._drive(self._controller.force_open(name, seconds)))

    async def trip(self, name: str, seconds: float) -> None:
        """Open a circuit for at least ``seconds`` seconds, as the dependency demanded; see `CircuitBreaker.trip`."""
        await run_to_completion(self._drive(self._controller.trip(name, seconds)))

    async def hold(self, name: str, seconds: float) -> None:
        """Refuse the calls of all processes for some seconds; see `CircuitBreaker.hold`.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now; at least 0.
        """
        await run_to_completion(self._drive(self._controller.hold(name, seconds)))

    async def seen(self, name: str) -> Snapshot:
        """Return the snapshot on which the breaker would admit or refuse the next call; see `CircuitBreaker.seen`."""
        return await run_to_completion(self._drive(self._controller.seen(name)))

    async def reset(self, name: str) -> Transition:
        """Close a circuit and clear its failure count, score and hold; see `CircuitBreaker.reset`."""
        return await run_to_completion(self._drive(self._controller.reset(name)))

    async def set_override(
        self,
        name: str,
        mode: OverrideMode,
        *,
        by: str,
        reason: str,
        seconds: float | None = None,
        create: bool = False,
    ) -> Transition:
        """Set an override of a breaker in every process; see `CircuitBreaker.set_override`."""
        return await run_to_completion(
            self._drive(self._controller.set_override(name, mode, by=by, reason=reason, seconds=seconds, create=create))
        )

    async def clear_override(self, name: str, *, by: str) -> Transition:
        """Remove the override of a breaker; see `CircuitBreaker.clear_override`."""
        return await run_to_completion(self._drive(self._controller.clear_override(name, by=by)))

    async def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """Return the last state changes and overrides of a breaker; see `CircuitBreaker.history`."""
        return await run_to_completion(self._drive(self._controller.history(name)))

    async def explain(self, name: str) -> str:
        """Return plain sentences that explain the state of a breaker; see `CircuitBreaker.explain`."""
        return await run_to_completion(self._drive(self._controller.explanation(name)))

    async def check_store(self) -> bool:
        """Check now whether the store answers and accepts writes; see `CircuitBreaker.check_store`."""
        return await run_to_completion(self._check_store())

    async def close(self) -> None:
        """Stop the background work of this breaker; the store stays open. See `CircuitBreaker.close`."""
        await self._recovery.close()
        if self._refresher is not None:
            await self._refresher.close()
        await self._reporter.close()
        if self._push is not None:
            await run_in_thread(DaemonWorkers("cbstore-close", 1), self._push.close)
        if isinstance(self._controller.notifier, AsyncNotifier):
            await self._controller.notifier.drain()

    async def __aenter__(self) -> AsyncCircuitBreaker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(
        self,
        name: str,
        fallback: Fallback | None,
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        """Make one guarded call; see `CircuitBreaker._call` for the arguments."""
        controller = self._controller
        try:
            permit = controller.fresh_permit(name) or await self._admit(name)
        except CircuitBreakerOpenError as refused:
            if fallback is None:
                raise
            answer = fallback(refused)
            resolved: T = await answer if isinstance(answer, Awaitable) else answer
            return resolved
        if permit.token or type(permit) not in PLAIN_PERMITS or controller.notifier.listeners:
            return await self._attended(permit, function, args, kwargs)
        try:
            result: T = await require_awaitable(function, function(*args, **kwargs))
            verdict = controller.outcomes.classify_result(result)
        except BaseException as error:
            await self._report(permit, controller.outcomes.classify_exception(error), isinstance(error, GeneratorExit))
            raise
        if verdict is not SUCCESS or not controller.takes_success(permit):
            await self._report(permit, verdict)
        return result

    async def _attended(
        self,
        permit: Permit,
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        """Make an admitted call that needs a lease renewal, events for listeners, or a time measurement.

        Args:
            permit: The permit of the admitted call.
            function: The function to call.
            args: The positional arguments for the function.
            kwargs: The keyword arguments for the function.
        """
        async with self._guarded(permit) as call:
            result: T = await require_awaitable(function, function(*args, **kwargs))
            call.verdict = self._controller.outcomes.classify_result(result)
        return result

    def _guarded(self, permit: Permit) -> AsyncGuardedCall:
        """Return an `AsyncGuardedCall` for a permit: it renews a probe's lease and reports the outcome."""
        return AsyncGuardedCall(permit, self._controller, self._report, self._renew)

    async def _admit(self, name: str) -> Permit:
        """Admit a call that `fresh_permit` did not admit."""
        if self._controller.is_out and self._recovery.take_overdue():
            # No event loop lives long enough for the background task: this one call asks the store.
            await asyncio.wait([in_background(self._check_store())], timeout=self._timeout or HAND_OVER_TIMEOUT)
        permit = self._admit_without_io(name)
        if permit is not None:
            return permit
        return await run_to_completion(self._drive(self._controller.admission(name)), abandoned=self.release)

    async def _renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe. Unlike `renew`, this method does not note a sign of progress."""
        return await run_to_completion(self._drive(self._controller.renewal(permit)))

    async def _settle(self, permit: Permit, verdict: Verdict, *, or_raise: bool = False) -> None:
        """Report a verdict.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            or_raise: Whether to raise the error of a store that fails. ``False`` means that the outage policy applies.
        """
        if not self._controller.settle_without_io(permit, verdict):
            await run_to_completion(self._drive(self._controller.settlement(permit, verdict, or_raise=or_raise)))

    async def _report(self, permit: Permit, verdict: Verdict, closed: bool = False) -> None:
        """Report the verdict of a call that has ended. An error is logged, because it would hide the call's outcome.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            closed: Whether Python closes the coroutine, which must then not await. In this case a task reports the
                verdict of a probe. Without a running event loop there is no report, and the lease of the probe runs
                out.
        """
        if closed:
            if permit.is_probe and asyncio._get_running_loop() is not None:
                in_background(self._report(permit, verdict))
            return
        try:
            await self._settle(permit, verdict)
        except Exception as failed:  # noqa: BLE001 - whatever a store raises, the call is over
            self._controller.log_failed_report(failed)

    def _prepare(self, store: AsyncStore | Store, flush_interval: float) -> AsyncStore:
        used = async_combining(as_async(store), flush_interval)
        self._abandons = self._timeout is not None and not used.keeps_deadlines
        return used

    async def _refresh(self) -> bool:
        return await self._drive(self._controller.refresh.run())

    async def _check_store(self) -> bool:
        recovery = self._controller.recovery
        return await self._drive(recovery.answers()) and await sansio.run_async(
            recovery.recover(), self._call_patiently
        )

    async def _recover(self) -> bool:
        return not await self.check_store() or self._controller.recovery.has_work

    async def _report_successes(self) -> bool:
        """Send the successes that no report of a failure has carried; see `CircuitBreaker._report_successes`."""
        try:
            for permit in self._controller.successes.due():
                await self._drive(self._controller.successes.report(permit))
        except Exception as failed:  # noqa: BLE001 - this task has no caller to raise to
            self._controller.log_failed_report(failed)
        return False

    async def _drive(self, calls: StoreCalls[T]) -> T:
        """Run a generator of store calls to its end, within one ``store_timeout``."""
        with within(self._timeout):
            return await sansio.run_async(calls, self._call_store)

    async def _call_patiently(self, call: StoreCall) -> Any:
        """Make one store call of the reports after an outage, within `HAND_OVER_TIMEOUT` seconds."""
        with within(HAND_OVER_TIMEOUT):
            return await self._call_store(call)

    async def _call_store(self, call: StoreCall) -> Any:
        """Make one store call. Every error of the store becomes a `StoreError`, except an error about an argument."""
        try:
            operation = getattr(self.store, call.operation)(*call.arguments, **call.keywords)
            if not self._abandons:
                return await operation
            abandoned = self._release_late if call.operation == "claim_probe" else None
            return await by_deadline(call, operation, abandoned=abandoned)
        except Exception as error:
            if from_signal_handler(error):
                raise
            raise_store_error(call, error)

    async def _release_late(self, claim: Transition | None) -> None:
        """Release a probe that this process won after the caller had stopped waiting for the store."""
        if claim is not None:
            # If this fails too, the recovery finds the probe by its token.
            with within(HAND_OVER_TIMEOUT), suppress(Exception):
                await self.store.release_probe(claim.permit)
