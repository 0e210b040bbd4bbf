"""The names of MassGen's ``massgen.backend.llm_circuit_breaker``, with its rules.

Import from here to move from MassGen without a change of behaviour: an HTTP 429 and the four retryable statuses are
the only failures, ``Retry-After`` is read on a 429 only and waited out to the second, and connection errors, timeouts
and errors in bodies say nothing. `cbstore_sql.llm` understands every provider.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.breaker import LLMCircuitBreaker as _LLMCircuitBreaker
from cbstore_sql.llm.config import CircuitState
from cbstore_sql.llm.config import LLMCircuitBreakerConfig as _LLMCircuitBreakerConfig
from cbstore_sql.llm.decision import NO_VERDICT, Decision, RateLimitAction
from cbstore_sql.llm.headers import classify_429, extract_retry_after, extract_status_code

__all__ = [
    "CircuitBreakerOpenError",
    "CircuitState",
    "LLMCircuitBreaker",
    "LLMCircuitBreakerConfig",
    "RateLimitAction",
    "classify_429",
    "extract_retry_after",
    "extract_status_code",
]

_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class LLMCircuitBreakerConfig(_LLMCircuitBreakerConfig):
    """The settings of `cbstore_sql.LLMCircuitBreakerConfig` with MassGen's defaults and rules."""

    max_retry_after_seconds: float = math.inf
    retryable_status_codes: Collection[int] = (500, 502, 503, 529)
    count_connection_errors: bool = False
    retry_share: float | None = None
    ramp_up_seconds: float = 0.0

    @property
    def shares_waits(self) -> bool:
        """Whether a short wait holds up the whole fleet: MassGen's only the caller that was told."""
        return False

    def pause_for(self, wait: float) -> float:
        """Return how many seconds a caller pauses: exactly as long as the API asks."""
        return wait

    def decide(self, error: BaseException) -> Decision:
        """Decide what follows from an exception."""
        status = extract_status_code(error)
        if status != _TOO_MANY_REQUESTS:
            retryable = status in self.retryable_status_codes
            return Decision(None, None, counts=retryable, retry=retryable) if retryable else NO_VERDICT
        wait = extract_retry_after(error)
        action = classify_429(wait, self.retry_after_threshold_seconds)
        capped = action is RateLimitAction.CAP
        return Decision(action, wait, counts=capped, retry=action is not RateLimitAction.STOP)

    def decide_result(self, result: Any) -> Decision:
        """Decide what follows from a returned value: it is an answer."""
        return NO_VERDICT


class LLMCircuitBreaker(_LLMCircuitBreaker):
    """`cbstore_sql.LLMCircuitBreaker` with MassGen's rules; the arguments are the same."""

    def __init__(
        self,
        config: _LLMCircuitBreakerConfig | None = None,
        backend_name: str = "claude",
        metrics: Any = None,
        store: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(config or LLMCircuitBreakerConfig(), backend_name, metrics, store, **options)
