"""The circuit breaker for calls to language models: HTTP 429, Retry-After and retries.

=================  ===========================================================================
`breaker`          `LLMCircuitBreaker`: one breaker for one model API
`config`           `LLMCircuitBreakerConfig`
`retry`            one call with its retries
`classify`         what an exception says: status, Retry-After, whether it counts as a failure
`observer`         what the breaker tells a metrics object
`ambient_permits`  permits for callers that ask and report in separate calls
`store_adapters`   one store for blocking and for awaiting callers
`dict_store`       a store that knows only the dictionary protocol, as a `Store`
=================  ===========================================================================
"""

from __future__ import annotations

from cbstore_sql.llm.breaker import LLMCircuitBreaker
from cbstore_sql.llm.classify import (
    FailureClass,
    RateLimitAction,
    classify_429,
    extract_retry_after,
    extract_status_code,
)
from cbstore_sql.llm.config import CircuitState, LLMCircuitBreakerConfig
from cbstore_sql.llm.observer import Metrics

__all__ = [
    "CircuitState",
    "FailureClass",
    "LLMCircuitBreaker",
    "LLMCircuitBreakerConfig",
    "Metrics",
    "RateLimitAction",
    "classify_429",
    "extract_retry_after",
    "extract_status_code",
]
