"""The way of one call through the targets of a router."""

from __future__ import annotations

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.guard import GuardedCall, Renew
from cbstore_sql.core.model import Permit
from cbstore_sql.core.validation import MAX_SECONDS
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.attempts import Attempts, FailedAttempt
from cbstore_sql.llm.decision import Decision
from cbstore_sql.llm.failover import another_may_help, takes_out_key
from cbstore_sql.llm.follow_up import FollowUp, Sleep
from cbstore_sql.llm.itinerary import Itinerary
from cbstore_sql.llm.targets import LLMTarget


class Route(FollowUp):
    """Admits each attempt of one call to the first target that takes it, and no target twice.

    Args:
        breaker: Admits the attempts.
        attempts: Decides what follows from an outcome.
        sleep: Waits some seconds.
        itinerary: Chooses the targets.

    Attributes:
        target: The target of the present attempt.
    """

    target: LLMTarget

    def __init__(
        self,
        breaker: CircuitBreaker,
        attempts: Attempts,
        sleep: Sleep,
        itinerary: Itinerary,
    ) -> None:
        super().__init__(breaker, attempts, sleep, None)
        self._itinerary = itinerary

    def admitted(self, renew: Renew | None = None) -> GuardedCall:
        """Admit one attempt to the first target that takes it.

        Raises:
            CircuitBreakerOpenError: No target takes it; ``retry_after`` is the shortest of them.
        """
        breaker = self._breaker
        names = self._itinerary.names(breaker._seen_open)
        try:
            permit = breaker.admit_first(names)
        except CircuitBreakerOpenError as refused:
            self.attempts.rejected(refused)
            # A call that has been made ends with what it got.
            if self.attempts.last is None or self.attempts.last.error is None:
                raise
            permit, failure = None, self.attempts.last.error
        if permit is None:
            raise failure
        self.target = self._itinerary.use(permit.name)
        self.attempts.name = permit.name
        return GuardedCall(permit, breaker._controller, breaker._report, renew or breaker.renew)

    def tries_again(self, decision: Decision) -> bool:
        """Do what a failure asks for; return whether another target is to be asked."""
        self._itinerary.failed(self.target, decision)
        self.follow(decision)
        return another_may_help(decision) and not self._itinerary.is_over

    def follow(self, decision: Decision) -> None:
        """Do what a failure asks of the whole fleet: hold or open the target, or take its key out."""
        if takes_out_key(decision):
            for target in self._itinerary.targets.with_key_of(self.target):
                self._breaker.trip(target.name, MAX_SECONDS)
            return
        super().follow(decision)

    def keeps_probe(self, permit: Permit, failed: FailedAttempt) -> bool:
        """Return ``False``: a target is asked once for each call."""
        return False

    def pause(self, decision: Decision) -> None:
        """Go on at once: the next attempt is at another target."""
