"""The circuit breaker for calls to language models: what an HTTP 429 means, retries, and who may report a probe."""

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
