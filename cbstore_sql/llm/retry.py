"""One call with its retries, for callers that block; see ``retry_async.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from cbstore_sql.core.model import Verdict
from cbstore_sql.llm.attempts import FailedAttempt
from cbstore_sql.llm.follow_up import FollowUp

T = TypeVar("T")


class Retries(Generic[T]):
    """Makes the attempts of one call.

    Each attempt is admitted for itself, but a probe stays its owner's while a wait that the API asked for passes.

    Args:
        follow_up: Admits the attempts and does what follows from their failures.
        make_call: Makes one attempt.
    """

    def __init__(self, follow_up: FollowUp, make_call: Callable[[], T]) -> None:
        self._follow_up = follow_up
        self._attempts = follow_up.attempts
        self._make_call = make_call

    def answer(self) -> T:
        """Make attempts until one is answered.

        Raises:
            CircuitBreakerOpenError: An attempt was rejected.
        """
        self._attempts.budget.call_made()
        while True:
            outcome = self._guarded()
            if not isinstance(outcome, FailedAttempt):
                return outcome
            if not self._follow_up.tries_again(outcome.decision):
                result: T = outcome.end()
                return result
            self._follow_up.pause(outcome.decision)

    def _guarded(self) -> T | FailedAttempt:
        """Make one admitted attempt, or with the probe as many as are answered with a short wait."""
        while True:
            with self._follow_up.admitted() as call:
                while True:
                    outcome = self._attempt()
                    if not isinstance(outcome, FailedAttempt):
                        call.verdict = Verdict.SUCCESS
                        return outcome
                    call.verdict = outcome.verdict
                    if not self._follow_up.keeps_probe(call.permit, outcome):
                        return outcome
                    self._follow_up.follow(outcome.decision)
                    self._follow_up.pause(outcome.decision)
                    if not self._follow_up.renewed(call.permit):
                        break  # another caller took the probe meanwhile: ask for admission again

    def _attempt(self) -> T | FailedAttempt:
        began = self._attempts.begin()
        try:
            answer = self._make_call()
        except Exception as error:  # noqa: BLE001 - it is classified, and raised when no attempt is left
            return self._attempts.raised(error, began)
        return self._attempts.returned(answer, began) or answer
