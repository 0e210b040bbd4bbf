"""The circuit breaker for callers in an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.breaker.arguments import check_decorator_name, check_fallback, check_permit
from cbstore_sql.breaker.base import Fallback
from cbstore_sql.breaker.callables import require_awaitable, require_awaited_function, require_no_generator
from cbstore_sql.breaker.flow import soonest
from cbstore_sql.breaker.guard_async import AsyncGuard, AsyncGuardedCall
from cbstore_sql.breaker.outage.recovery import HAND_OVER_TIMEOUT
from cbstore_sql.breaker.outcomes import SUCCESS
from cbstore_sql.breaker.sending import send_success
from cbstore_sql.breaker.store_side_async import AsyncStoreSide
from cbstore_sql.core.model import PLAIN_PERMITS, Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError, InvalidArgumentError
from cbstore_sql.runtime.tasks import in_background, run_to_completion

P = ParamSpec("P")
T = TypeVar("T")


class AsyncCircuitBreaker(AsyncStoreSide):
    """A circuit breaker for callers in an event loop, with the arguments, rules and events of `CircuitBreaker`.

    If a call is cancelled, it counts neither as a success nor as a failure. If it was the probe (the call that tests
    the dependency), the next caller may make the probe. If a report to the store has already begun, it is
    finished in the background.

    See `BreakerBase.__init__` for the arguments.
    """

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
        """Call a coroutine function if the circuit admits the call, and report the outcome to the store.

        Args:
            name: The breaker's name.
            function: The function to call. The breaker awaits the function's result.
            *args: The positional arguments for the function.
            **kwargs: The keyword arguments for the function.

        Returns:
            The awaited result of the function or, for a rejected call, the result of the fallback.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the call and there is no fallback.
            InvalidArgumentError: The function is not callable, is a generator function, or returned something that
                cannot be awaited.
        """
        require_no_generator(function)
        return await self._call(name, self._fallback, function, args, kwargs)

    def guard(self, name: str) -> AsyncGuard:
        """Make a guard for a block of code: ``async with breaker.guard("billing") as permit: …``.

        If the circuit admits the block, the block runs with its permit. At the end of the block, the guard reports the
        outcome to the store: an exception that counts is a failure, otherwise the block is a success.

        Args:
            name: The breaker's name.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the block. ``async with`` raises this error, not `guard`.
        """
        return AsyncGuard(name, self.admit, self._controller, self._report, self._renew)

    async def admit(self, name: str) -> Permit:
        """Ask whether a call may go ahead. Afterwards, report its outcome with `success`, `failure` or `release`.

        Use this where `call` and `guard` do not fit. If the call is the probe (the call that tests the dependency), it
        belongs to this caller for ``probe_lease`` seconds; `renew` extends this time. If this method is cancelled, the
        breaker releases a probe that the caller got.

        Args:
            name: The breaker's name.

        Returns:
            The permit: the right to report the outcome.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the call.
            StoreError: The store does not answer and ``on_store_outage`` is ``"raise"``.
        """
        return self._controller.fresh_permit(name) or await self._admit(name)

    async def admit_first(self, names: Sequence[str]) -> Permit:
        """Find the first of several breakers that admits a call. Use this to choose between equivalent dependencies.

        Report the outcome of the call with `success`, `failure` or `release`. One store operation reads all breakers
        that this process has not read within the last ``max_staleness`` seconds; for the others, this method usually
        does no I/O.

        Args:
            names: The breakers' names, the most preferred first; at least one.

        Returns:
            The permit: the right to report the outcome. Its ``name`` is the name of the breaker that admitted the call.

        Raises:
            CircuitBreakerOpenError: No breaker admits the call. Of the errors of all breakers, this is the error with
                the shortest ``retry_after``.
            InvalidArgumentError: ``names`` is empty, or is a single string.
        """
        if isinstance(names, str) or not names:
            raise InvalidArgumentError("admit_first takes a sequence of one name or more")
        permit, ask, refusals = self._first_without_io(names)
        if permit is not None:
            return permit
        try:
            if ask:
                return await self._drive_admission(self._controller.first_admission(ask))
        except CircuitBreakerOpenError as refused:
            refusals.append(refused)
        raise soonest(refusals, names[0])

    async def success(self, permit: Permit) -> None:
        """Report that a call which `admit` admitted has succeeded.

        A report that comes too late or is repeated has no effect.

        Args:
            permit: The permit that `admit` returned.
        """
        verdict = self._controller.slow_calls.judge(check_permit(permit), SUCCESS)
        if verdict is not SUCCESS or not self._controller.takes_success(permit):
            await self._settle(permit, verdict)

    async def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Report that a call which `admit` admitted has failed.

        A report that comes too late or is repeated has no effect.

        Args:
            permit: The permit that `admit` returned.
            error: The exception that the call raised. If this exception does not count as a failure, the effect is that
                of `release`. ``None`` counts as a failure.
        """
        await self._settle(check_permit(permit), self._verdict_of(error))

    async def release(self, permit: Permit) -> None:
        """Report that a call which `admit` admitted has ended, and says nothing about the dependency.

        Such a call counts neither as a success nor as a failure. If it was the probe, the next caller may make the
        probe.

        Args:
            permit: The permit that `admit` returned.
        """
        await self._settle(check_permit(permit), Verdict.NONE)

    async def renew(self, permit: Permit) -> bool:
        """Keep a probe that `admit` gave to the caller for another ``probe_lease`` seconds, from now.

        Without this, another caller may make the probe when the time is over.

        Args:
            permit: The permit that `admit` returned.

        Returns:
            ``True`` if the probe still belongs to the caller, or if the store does not answer. ``False`` if the probe
            belongs to another caller or is over.

        Raises:
            InvalidStateError: The permit is not a permit of a probe.
        """
        self.progress(permit)
        return await self._renew(permit)

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
        return await self._drive_admission(self._controller.admission(name))

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
        settling = self._controller.settling
        if settling.without_io(permit, verdict):
            return
        if settling.may_send(permit, verdict):
            policy = self._controller.policy_for(permit.name)
            if send_success(self.store, permit, policy, self._timeout):
                return
        await run_to_completion(self._drive(settling.by_store(permit, verdict, or_raise=or_raise)))

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
            self._controller.notifier.log_failed_report(failed)
