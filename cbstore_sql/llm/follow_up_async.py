"""The steps around the attempts of one call, for asynchronous callers: admission, waits, and holds of the fleet."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.breaker.guard_async import AsyncGuardedCall, Renew
from cbstore_sql.core.model import Permit, State
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.attempts import Attempts, FailedAttempt
from cbstore_sql.llm.decision import Decision, RateLimitAction
from cbstore_sql.llm.health import AsyncHealthCheck

AsyncSleep = Callable[[float], Awaitable[object]]


class AsyncFollowUp:
    """Do what is needed before and after each attempt of one call, for asynchronous callers.

    Before an attempt, ask the breaker to admit it. After a failure, do what the API asked for. If the API asked for a
    short wait, all processes stop their calls for this time (a hold). If it asked for a long wait, the circuit opens.

    Args:
        breaker: The breaker that admits the attempts.
        attempts: The record of the attempts of the call, with the settings that define what follows a failure.
        sleep: A function that waits for the given number of seconds. Its result is awaited.
        health: The health check that probes the API in place of a call; ``None`` if the next call is the probe.
    """

    def __init__(
        self, breaker: AsyncCircuitBreaker, attempts: Attempts, sleep: AsyncSleep, health: AsyncHealthCheck | None
    ) -> None:
        self.attempts = attempts
        self._breaker = breaker
        self._sleep = sleep
        self._health = health

    async def admitted(self, renew: Renew | None = None) -> AsyncGuardedCall:
        """Ask the breaker to admit one attempt, and return the guard of the attempt.

        If the API has asked all callers to wait, this method waits too, unless ``on_hold`` is ``"refuse"``.

        Args:
            renew: A function that renews the lease of a probe while the attempt runs; ``None`` means the breaker's
                ``renew``, which renews the lease as long as the probe belongs to this caller.

        Returns:
            The guard of the attempt: a context manager. Make the attempt inside it.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the attempt, or the health check failed.
        """
        name = self.attempts.name
        try:
            permit = await self._after_holds()
            if permit.is_probe and self._health is not None:
                async with self._breaker._guarded(permit) as check:
                    check.verdict = await self._health.verdict()
                self._health.passed_or_raise(name, check.verdict, self.attempts.config)
                permit = await self._after_holds()
        except CircuitBreakerOpenError as refused:
            self.attempts.rejected(refused)
            raise
        breaker = self._breaker
        return AsyncGuardedCall(permit, breaker._controller, breaker._report, renew or breaker.renew)

    def keeps_probe(self, permit: Permit, failed: FailedAttempt) -> bool:
        """Return whether a caller whose probe failed keeps the probe and makes another attempt.

        The caller keeps the probe if the API asked for a short wait, the failure does not count, and a retry is left.
        If the answer is ``True``, this method has used one retry of the retry budget.

        Args:
            permit: The permit of the failed attempt.
            failed: The failed attempt.
        """
        return permit.is_probe and not failed.decision.counts and self.attempts.waits(failed.decision)

    async def renewed(self, permit: Permit) -> bool:
        """Renew the lease of a probe and return whether the probe still belongs to this caller."""
        return await self._breaker.renew(permit)

    async def tries_again(self, decision: Decision) -> bool:
        """Wait, hold or open the circuit after a failed attempt, as decided; return whether to make another attempt.

        See `follow` for what the API may ask for. If the answer is ``True``, this method has used one retry of the
        retry budget.

        Args:
            decision: The decision after the failed attempt.
        """
        await self.follow(decision)
        if decision.action is RateLimitAction.STOP or not decision.retry or self.attempts.left == 0:
            return False
        if decision.counts and decision.action is not RateLimitAction.CAP and await self._blocked():
            return False
        return self.attempts.may_retry(decision)

    async def follow(self, decision: Decision) -> None:
        """Do what the API asked for after a failed attempt.

        If the API asked for a short wait, all processes stop their calls for this time, provided that the settings have
        `shares_waits`. If the API asked for a long wait, the circuit opens. Otherwise this method does nothing. If the
        store fails, the error is logged.

        Args:
            decision: The decision after the failed attempt.
        """
        if decision.action is RateLimitAction.WAIT and self.attempts.config.shares_waits:
            await self._hold(decision.wait or 0.0)
        if decision.action is RateLimitAction.STOP:
            await self._stop(decision.wait or 0.0)

    async def pause(self, decision: Decision) -> None:
        """Sleep until the time of the next attempt.

        Args:
            decision: The decision after the failed attempt.
        """
        seconds = self.attempts.pause_for(decision)
        self.attempts.log(logging.INFO, "trying again", seconds)
        await self._sleep(seconds)

    async def _after_holds(self) -> Permit:
        """Admit an attempt. If ``on_hold`` is ``"wait"``, wait for the end of a hold or a ramp, and try again.

        All waits together last at most ``retry_after_threshold_seconds``, before jitter.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the attempt for another reason, or the
                waits together would exceed the limit.
        """
        left = self.attempts.config.retry_after_threshold_seconds
        while True:
            try:
                return await self._breaker.admit(self.attempts.name)
            except CircuitBreakerOpenError as refused:
                seconds = self.attempts.hold_of(refused)
                if seconds is None or refused.retry_after > left:
                    raise
                left -= refused.retry_after
            await self._sleep(seconds)

    async def _hold(self, seconds: float) -> None:
        try:
            await self._breaker.hold(self.attempts.name, seconds)
        except Exception as failed:  # noqa: BLE001 - the caller must get the exception of the API
            self._breaker._controller.notifier.log_failed_report(failed)

    async def _stop(self, seconds: float) -> None:
        self.attempts.log(logging.WARNING, "opened because the API asked for it, may be probed", seconds)
        try:
            await self._breaker.trip(self.attempts.name, self.attempts.config.open_seconds(seconds))
        except Exception as failed:  # noqa: BLE001 - the caller must get the exception of the API
            self._breaker._controller.notifier.log_failed_report(failed)

    async def _blocked(self) -> bool:
        """Return whether, by the latest view of the circuit, the breaker would reject the next attempt."""
        try:
            snapshot = await self._breaker.seen(self.attempts.name)
        except Exception as failed:  # noqa: BLE001 - the caller must get the exception of the API
            self._breaker._controller.notifier.log_failed_report(failed)
            return False
        return snapshot.state is not State.CLOSED and not snapshot.probe_claimable
