"""The names of MassGen's module ``massgen.backend.llm_circuit_breaker``, with MassGen's rules.

Import from this module to move from MassGen without a change of behaviour. The differences from `cbstore_sql.llm`:

* Only an HTTP 429 and the statuses 500, 502, 503 and 529 are failures.
* Only a 429 may carry a ``Retry-After``. The caller waits exactly that time, without jitter.
* Connection errors, timeouts and errors in bodies are not failures.
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
from cbstore_sql.llm.headers import classify_429, extract_status_code

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
_SPELLINGS = ("retry-after", "Retry-After")


def extract_retry_after(exc: BaseException) -> float | None:
    """Return the seconds in the ``Retry-After`` header of ``exc.response``, as MassGen reads the header.

    MassGen reads no dates, no ``retry-after-ms``, and in a plain dictionary only the usual two spellings of the name.
    This function returns a negative or infinite number unchanged, and never raises.

    Args:
        exc: The exception that the call raised.

    Returns:
        The wait in seconds; ``None`` if the header is missing or not a number.
    """
    find = getattr(getattr(getattr(exc, "response", None), "headers", None), "get", None)
    if find is None:
        return None
    found = [value for value in map(find, _SPELLINGS) if value is not None]
    try:
        return float(found[0]) if found else None
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class LLMCircuitBreakerConfig(_LLMCircuitBreakerConfig):
    """The settings of an LLM circuit breaker with MassGen's defaults and rules.

    The arguments are those of `cbstore_sql.LLMCircuitBreakerConfig`.
    """

    max_retry_after_seconds: float = math.inf
    retryable_status_codes: Collection[int] = (500, 502, 503, 529)
    count_connection_errors: bool = False
    retry_share: float | None = None
    ramp_up_seconds: float = 0.0

    @property
    def shares_waits(self) -> bool:
        """``False``: with MassGen's rules, a short wait makes only the present caller wait, and not the whole fleet."""
        return False

    def pause_for(self, wait: float) -> float:
        """Return how many seconds a caller waits: exactly ``wait`` seconds, or 0 if ``wait`` is negative."""
        return max(0.0, wait)

    def decide(self, error: BaseException) -> Decision:
        """Decide what follows an exception, as MassGen does: open the circuit at once, count a failure, or try again.

        Args:
            error: The exception that the call raised.

        Returns:
            The decision; `NO_VERDICT` if the exception has no status that MassGen treats as a failure.
        """
        status = extract_status_code(error)
        if status != _TOO_MANY_REQUESTS:
            retryable = status in self.retryable_status_codes
            return Decision(None, None, counts=retryable, retry=retryable) if retryable else NO_VERDICT
        wait = extract_retry_after(error)
        action = classify_429(wait, self.retry_after_threshold_seconds)
        capped = action is RateLimitAction.CAP
        return Decision(action, wait, counts=capped, retry=action is not RateLimitAction.STOP)

    def decide_result(self, result: Any) -> Decision:
        """Return `NO_VERDICT`: with MassGen's rules, a returned value is never a failure."""
        return NO_VERDICT


class LLMCircuitBreaker(_LLMCircuitBreaker):
    """A circuit breaker for the calls to one language model API, with the rules of the project MassGen.

    Use this class in code that was written for the breaker of MassGen and depends on its rules for answers with 429.

    The arguments are those of `cbstore_sql.LLMCircuitBreaker`. Without ``config``, the defaults are those of this
    module's `LLMCircuitBreakerConfig`.
    """

    def __init__(
        self,
        config: _LLMCircuitBreakerConfig | None = None,
        backend_name: str = "claude",
        metrics: Any = None,
        store: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(config or LLMCircuitBreakerConfig(), backend_name, metrics, store, **options)
