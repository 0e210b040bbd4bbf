"""One call with its retries: admitted, made, classified, and made again where that may help."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Generic, TypeVar

from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.core.model import Permit, State
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.attempts import AttemptFailed, Attempts, ProbeLostError
from cbstore_sql.llm.decision import Decision, RateLimitAction

T = TypeVar("T")

AsyncSleep = Callable[[float], Awaitable[object]]


class AsyncRetries(Generic[T]):
    """Makes the attempts of one call.

    Each attempt is admitted for itself, but a probe stays its owner's while a wait that the API asked for passes.

    Args:
        breaker: What admits the attempts and takes their outcomes.
        attempts: Decides what follows from an outcome.
        make_call: Makes one attempt.
        sleep: Waits some seconds.
    """

    def __init__(
        self,
        breaker: AsyncCircuitBreaker,
        attempts: Attempts,
        make_call: Callable[[], Awaitable[T]],
        sleep: AsyncSleep,
    ) -> None:
        self._breaker = breaker
        self._attempts = attempts
        self._make_call = make_call
        self._sleep = sleep

    async def answer(self) -> T:
        """Make attempts until one is answered.

        Raises:
            CircuitBreakerOpenError: An attempt was rejected.
        """
        self._attempts.budget.call_made()
        while True:
            outcome = await self._guarded()
            if not isinstance(outcome, AttemptFailed):
                return outcome
            if not await self._tries_again(outcome.decision):
                break
            await self._pause(outcome.decision)
        # Outside any handler, so that the exception keeps the context it came with.
        if outcome.error is not None:
            raise outcome.error
        result: T = outcome.result
        return result

    async def _guarded(self) -> T | AttemptFailed:
        while True:
            try:
                async with AsyncExitStack() as admission:
                    permit = await self._admitted(admission)
                    return await self._attempts_with(permit)
            except ProbeLostError:
                continue
            except AttemptFailed as failed:
                return failed

    async def _admitted(self, admission: AsyncExitStack) -> Permit:
        try:
            return await admission.enter_async_context(self._breaker.guard(self._attempts.name))
        except CircuitBreakerOpenError as refused:
            self._attempts.rejected(refused)
            raise

    async def _attempts_with(self, permit: Permit) -> T:
        """Make one attempt, or with the probe as many as are answered with a short wait."""
        while True:
            try:
                return await self._attempt()
            except AttemptFailed as failed:
                decision = failed.decision
                if not permit.is_probe or decision.counts or not self._attempts.waits(decision):
                    raise
            await self._pause(decision)
            if not await self._breaker.renew(permit):
                raise ProbeLostError

    async def _attempt(self) -> T:
        began = self._attempts.begin()
        try:
            answer = await self._make_call()
        except Exception as error:
            raise self._attempts.raised(error, began) from error
        failed = self._attempts.returned(answer, began)
        if failed is not None:
            raise failed
        return answer

    async def _tries_again(self, decision: Decision) -> bool:
        if decision.action is RateLimitAction.STOP:
            await self._stop(decision.wait or 0.0)
            return False
        if not decision.retry or self._attempts.left == 0:
            return False
        if decision.counts and decision.action is not RateLimitAction.CAP and await self._blocked():
            return False
        return self._attempts.may_retry(decision)

    async def _pause(self, decision: Decision) -> None:
        seconds = self._attempts.pause_for(decision)
        self._attempts.log(logging.INFO, "trying again", seconds)
        await self._sleep(seconds)

    async def _stop(self, seconds: float) -> None:
        self._attempts.log(logging.WARNING, "opened because the API asked for it, may be probed", seconds)
        try:
            await self._breaker.trip(self._attempts.name, self._attempts.config.open_seconds(seconds))
        except Exception as failed:  # noqa: BLE001 - the dependency's exception is what the caller gets
            self._breaker._controller.log_failed_report(failed)

    async def _blocked(self) -> bool:
        """Return whether the next attempt would be rejected, as far as can be told now."""
        try:
            snapshot = await self._breaker.seen(self._attempts.name)
        except Exception as failed:  # noqa: BLE001 - the dependency's exception is what the caller gets
            self._breaker._controller.log_failed_report(failed)
            return False
        return snapshot.state is not State.CLOSED and not snapshot.probe_claimable
