"""Circuit breakers whose state a team's processes share through the PostgreSQL they already have.

Importing this package loads neither SQLAlchemy nor redis: a backend is imported when its store is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.core.model import Permit, Snapshot, State, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.errors import (
    CircuitBreakerError,
    CircuitBreakerOpenError,
    ConfigurationError,
    InvalidNameError,
    InvalidPolicyError,
    InvalidStateError,
    SchemaError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    TooManyBreakersError,
)
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.dict_protocol import DEFAULT_CIRCUIT_BREAKER_STATE, CircuitBreakerStore
from cbstore_sql.stores.factory import make_store
from cbstore_sql.stores.memory import AsyncInMemoryStore, InMemoryStore

if TYPE_CHECKING:
    from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
    from cbstore_sql.llm import (
        CircuitState,
        LLMCircuitBreaker,
        LLMCircuitBreakerConfig,
        RateLimitAction,
        classify_429,
        extract_retry_after,
        extract_status_code,
    )
    from cbstore_sql.metrics import CircuitBreakerMetrics, FleetCollector, OpenTelemetryMetrics, log_events
    from cbstore_sql.migration import migrate
    from cbstore_sql.stores.base_async import AsyncStore
    from cbstore_sql.stores.redis import AsyncRedisStore, RedisStore
    from cbstore_sql.stores.sql import SqlStore
    from cbstore_sql.stores.sql.prune import prune
    from cbstore_sql.stores.sql.store_async import AsyncSqlStore

_LAZY = {
    "AsyncCircuitBreaker": "cbstore_sql.breaker.circuit_breaker_async",
    "AsyncRedisStore": "cbstore_sql.stores.redis",
    "AsyncSqlStore": "cbstore_sql.stores.sql.store_async",
    "AsyncStore": "cbstore_sql.stores.base_async",
    "CircuitBreakerMetrics": "cbstore_sql.metrics",
    "CircuitState": "cbstore_sql.llm",
    "FleetCollector": "cbstore_sql.metrics",
    "LLMCircuitBreaker": "cbstore_sql.llm",
    "LLMCircuitBreakerConfig": "cbstore_sql.llm",
    "OpenTelemetryMetrics": "cbstore_sql.metrics",
    "RateLimitAction": "cbstore_sql.llm",
    "RedisStore": "cbstore_sql.stores.redis",
    "SqlStore": "cbstore_sql.stores.sql",
    "classify_429": "cbstore_sql.llm",
    "extract_retry_after": "cbstore_sql.llm",
    "extract_status_code": "cbstore_sql.llm",
    "log_events": "cbstore_sql.metrics",
    "migrate": "cbstore_sql.migration",
    "prune": "cbstore_sql.stores.sql.prune",
}

__all__ = [
    "DEFAULT_CIRCUIT_BREAKER_STATE",
    "DEFAULT_POLICY",
    "AsyncCircuitBreaker",
    "AsyncInMemoryStore",
    "AsyncRedisStore",
    "AsyncSqlStore",
    "AsyncStore",
    "BreakerPolicy",
    "CircuitBreaker",
    "CircuitBreakerError",
    "CircuitBreakerMetrics",
    "CircuitBreakerOpenError",
    "CircuitBreakerStore",
    "CircuitState",
    "ConfigurationError",
    "FleetCollector",
    "InMemoryStore",
    "InvalidNameError",
    "InvalidPolicyError",
    "InvalidStateError",
    "LLMCircuitBreaker",
    "LLMCircuitBreakerConfig",
    "OpenTelemetryMetrics",
    "Permit",
    "RateLimitAction",
    "RedisStore",
    "SchemaError",
    "Snapshot",
    "SqlStore",
    "State",
    "Store",
    "StoreConflictError",
    "StoreError",
    "StoreUnavailableError",
    "TooManyBreakersError",
    "Transition",
    "classify_429",
    "extract_retry_after",
    "extract_status_code",
    "log_events",
    "make_store",
    "migrate",
    "prune",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_LAZY[name]), name)
    except ModuleNotFoundError as missing:
        if missing.name != "redis":
            raise
        raise ImportError(f"{name} needs the extra: pip install 'cbstore_sql[redis]'") from None
