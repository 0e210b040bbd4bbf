"""One call with its retries, for asynchronous callers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from cbstore_sql.core.model import Verdict
from cbstore_sql.llm.attempts import FailedAttempt
from cbstore_sql.llm.follow_up_async import AsyncFollowUp

T = TypeVar("T")


class AsyncRetries(Generic[T]):
    """Make the attempts of one call until an attempt succeeds or no attempt is left, for asynchronous callers.

    The breaker admits or rejects each attempt separately. There is one exception: during a short wait that the API
    asked for, the owner of a probe keeps the probe for the next attempt.

    Args:
        follow_up: The object that asks the breaker to admit each attempt, and waits or opens the circuit after a
            failure.
        make_call: A function that starts one attempt and returns an awaitable of the answer.
    """

    def __init__(self, follow_up: AsyncFollowUp, make_call: Callable[[], Awaitable[T]]) -> None:
        self._follow_up = follow_up
        self._attempts = follow_up.attempts
        self._make_call = make_call

    async def answer(self) -> T:
        """Make attempts until an attempt succeeds or no attempt is left.

        Returns:
            The answer of the first attempt that succeeds. If no attempt succeeds and the last attempt returned an error
            as its value, this value.

        Raises:
            CircuitBreakerOpenError: The breaker rejected an attempt.
            Exception: The exception of the last attempt, if the breaker makes no further attempt.
        """
        self._attempts.budget.call_made()
        while True:
            outcome = await self._guarded()
            if not isinstance(outcome, FailedAttempt):
                return outcome
            if not await self._follow_up.tries_again(outcome.decision):
                result: T = outcome.end()
                return result
            await self._follow_up.pause(outcome.decision)

    async def _guarded(self) -> T | FailedAttempt:
        """Make one admitted attempt. The owner of a probe tries again after each short wait that the API asks for."""
        while True:
            async with await self._follow_up.admitted() as call:
                while True:
                    outcome = await self._attempt()
                    if not isinstance(outcome, FailedAttempt):
                        call.verdict = Verdict.SUCCESS
                        return outcome
                    call.verdict = outcome.verdict
                    if not self._follow_up.keeps_probe(call.permit, outcome):
                        return outcome
                    await self._follow_up.follow(outcome.decision)
                    await self._follow_up.pause(outcome.decision)
                    if not await self._follow_up.renewed(call.permit):
                        break  # this caller no longer owns the probe, so the breaker must admit the next attempt

    async def _attempt(self) -> T | FailedAttempt:
        began = self._attempts.begin()
        try:
            answer = await self._make_call()
        except Exception as error:  # noqa: BLE001 - the error is classified, and raised later if no attempt is left
            return self._attempts.raised(error, began)
        return self._attempts.returned(answer, began) or answer
