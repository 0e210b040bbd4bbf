"""The steps of one call through the targets of a router, for asynchronous callers."""

from __future__ import annotations

from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.breaker.guard_async import AsyncGuardedCall, Renew
from cbstore_sql.core.model import Permit
from cbstore_sql.core.validation import MAX_SECONDS
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.attempts import Attempts, FailedAttempt
from cbstore_sql.llm.decision import Decision
from cbstore_sql.llm.failover import another_may_help, takes_out_key
from cbstore_sql.llm.follow_up_async import AsyncFollowUp, AsyncSleep
from cbstore_sql.llm.itinerary import Itinerary
from cbstore_sql.llm.targets import LLMTarget


class AsyncRoute(AsyncFollowUp):
    """Send each attempt of a router's call to the first untried target that admits it, for asynchronous callers.

    The call tries each target at most once.

    Args:
        breaker: The breaker that admits the attempts.
        attempts: The record of the attempts of the call, with the settings of the router.
        sleep: A function that waits for the given number of seconds. Its result is awaited.
        itinerary: The object that knows which targets the call has not tried.

    Attributes:
        target: The target of the current attempt.
    """

    target: LLMTarget

    def __init__(
        self,
        breaker: AsyncCircuitBreaker,
        attempts: Attempts,
        sleep: AsyncSleep,
        itinerary: Itinerary,
    ) -> None:
        super().__init__(breaker, attempts, sleep, None)
        self._itinerary = itinerary

    async def admitted(self, renew: Renew | None = None) -> AsyncGuardedCall:
        """Find the first untried target whose circuit admits an attempt, and return the guard of the attempt.

        Args:
            renew: A function that renews the lease of a probe while the attempt runs; ``None`` means the breaker's
                ``renew``, which renews the lease as long as the probe belongs to this caller.

        Returns:
            The guard of the attempt: a context manager. Make the attempt inside it.

        Raises:
            CircuitBreakerOpenError: No target admits the call, and the call has made no attempt. The ``retry_after`` of
                the error is the shortest ``retry_after`` of all targets, in seconds.
            Exception: The exception of the last attempt, if no remaining target admits the call.
        """
        breaker = self._breaker
        names = self._itinerary.names(breaker._seen_open)
        try:
            permit = await breaker.admit_first(names)
        except CircuitBreakerOpenError as refused:
            self.attempts.rejected(refused)
            # After an attempt, the caller gets the exception of that attempt and not the rejection.
            if self.attempts.last is None or self.attempts.last.error is None:
                raise
            permit, failure = None, self.attempts.last.error
        if permit is None:
            raise failure
        self.target = self._itinerary.use(permit.name)
        self.attempts.name = permit.name
        return AsyncGuardedCall(permit, breaker._controller, breaker._report, renew or breaker.renew)

    async def tries_again(self, decision: Decision) -> bool:
        """Do what the API of the target asked for after a failure, and return whether to try another target.

        If the API asked for a short wait, all processes stop their calls to this target for this time. If it asked for
        a long wait, the circuit of this target opens.

        Args:
            decision: The decision after the failed attempt.
        """
        self._itinerary.failed(self.target, decision)
        await self.follow(decision)
        return another_may_help(decision) and not self._itinerary.is_over

    async def follow(self, decision: Decision) -> None:
        """Do what the API of the target asked for after a failure, for all processes.

        If the API asked for a short wait, all processes stop their calls to this target for this time. If it asked for
        a long wait, the circuit of this target opens. If the provider rejected the key, the circuits of all targets
        with this key open.

        Args:
            decision: The decision after the failed attempt.
        """
        if takes_out_key(decision):
            for target in self._itinerary.targets.with_key_of(self.target):
                await self._breaker.trip(target.name, MAX_SECONDS)
            return
        await super().follow(decision)

    def keeps_probe(self, permit: Permit, failed: FailedAttempt) -> bool:
        """Return ``False``, because a call tries each target only once; see `AsyncFollowUp.keeps_probe`."""
        return False

    async def pause(self, decision: Decision) -> None:
        """Do not wait, because the next attempt goes to another target."""
