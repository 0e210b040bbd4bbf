"""One call with its retries: admitted, made, judged, and made again where that may help."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.core.model import Permit, State
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.classify import FailureClass, RateLimitAction
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.observer import Observer
from cbstore_sql.runtime.backoff import ExponentialBackoff

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger("cbstore_sql")

_FIRST_BACKOFF = 1.0
_JITTER = (0.8, 1.2)


class _ProbeLost(Exception):
    """The probe went to somebody else while its owner waited: ask for admission anew."""


@dataclass
class Attempts(Generic[T]):
    """The attempts of one call.

    Each is admitted for itself, but a probe is kept while its owner waits for what a 429 asked for.

    Args:
        breaker: What admits and is reported to.
        name: The breaker's name.
        config: What to retry and how long to wait.
        make_call: Makes one attempt.
        observer: Told of each attempt and each refusal.
        sleep: Waits some seconds.
        agent_id: For the log.
        left: How many attempts may be made.

    Attributes:
        backoff: The pauses for which no server asked.
    """

    breaker: AsyncCircuitBreaker
    name: str
    config: LLMCircuitBreakerConfig
    make_call: Callable[[], Awaitable[T]]
    observer: Observer
    sleep: Sleep
    agent_id: str | None
    left: int
    backoff: ExponentialBackoff = field(init=False)

    def __post_init__(self) -> None:
        longest, factor = self.config.max_backoff_seconds, self.config.backoff_multiplier
        self.backoff = ExponentialBackoff(_FIRST_BACKOFF, longest, factor=factor, jitter=_JITTER)

    async def answer(self) -> T:
        """Make attempts until one is answered.

        Raises:
            CircuitBreakerOpenError: An attempt was refused.
        """
        while True:
            try:
                async with AsyncExitStack() as admission:
                    permit = await self._admitted(admission)
                    return await self._attempts_with(permit)
            except _ProbeLost:
                continue
            except Exception as error:
                pause = await self._pause_after(error)
                if pause is None:
                    raise
            await self._wait(pause)

    async def _admitted(self, admission: AsyncExitStack) -> Permit:
        try:
            return await admission.enter_async_context(self.breaker.guard(self.name))
        except CircuitBreakerOpenError as refused:
            self.observer.request(f"rejected_{refused.state}", 0.0)
            raise

    async def _attempts_with(self, permit: Permit) -> T:
        """Make one attempt, or with the probe as many as are not answered by a short Retry-After."""
        while True:
            try:
                return await self._attempt()
            except Exception as error:
                wait = self._wait_after(self.config.classify_failure(error))
                if wait is None or not permit.is_probe:
                    raise
            await self._wait(wait)
            if not await self.breaker.renew(permit):
                raise _ProbeLost

    async def _attempt(self) -> T:
        self.left -= 1
        began = time.perf_counter()
        try:
            answer = await self.make_call()
        except Exception:
            self.observer.request("failure", time.perf_counter() - began)
            raise
        self.observer.request("success", time.perf_counter() - began)
        return answer

    async def _pause_after(self, error: Exception) -> float | None:
        """Return the seconds until the next attempt, ``None`` when there is none."""
        judgement = self.config.classify_failure(error)
        if judgement.action is RateLimitAction.STOP:
            await self._stop(judgement.retry_after or 0.0)
        if not judgement.counts or self.left == 0:
            return self._wait_after(judgement)
        if judgement.action is None and await self._blocked():
            return None
        return self.backoff.next()

    def _wait_after(self, judgement: FailureClass) -> float | None:
        return judgement.retry_after if judgement.action is RateLimitAction.WAIT and self.left > 0 else None

    async def _wait(self, seconds: float) -> None:
        self._log(logging.INFO, "trying again", seconds)
        await self.sleep(seconds)

    async def _stop(self, seconds: float) -> None:
        self._log(logging.WARNING, "opened by a 429, may be probed", seconds)
        try:
            await self.breaker.trip(self.name, self.config.open_seconds(seconds))
        except Exception as failed:  # noqa: BLE001 - the dependency's exception is what the caller gets
            self.breaker._controller.log_failed_report(failed)

    async def _blocked(self) -> bool:
        """Whether the next attempt would be refused, as far as can be told now."""
        try:
            snapshot = await self.breaker.seen(self.name)
        except Exception as failed:  # noqa: BLE001 - the dependency's exception is what the caller gets
            self.breaker._controller.log_failed_report(failed)
            return False
        return snapshot.state is not State.CLOSED and not snapshot.probe_claimable

    def _log(self, level: int, what: str, seconds: float) -> None:
        fields = {"cb_name": self.name, "cb_agent_id": self.agent_id, "cb_seconds": seconds}
        log.log(level, "circuit breaker %r: %s in %.1f s", self.name, what, seconds, extra=fields)
