"""Circuit breakers whose state all processes of a team share through the PostgreSQL they already have.

Guard calls
    `CircuitBreaker`, `AsyncCircuitBreaker`, `BreakerPolicy`, `FailureRate`, `DEFAULT_POLICY`,
    `CircuitBreakerOpenError`

Guard calls to language models
    `LLMCircuitBreaker`, `LLMCircuitBreakerConfig`, `CircuitState`, `RateLimitAction`, `classify_429`,
    `extract_retry_after`, `extract_status_code`

Keep the state
    `SqlStore`, `AsyncSqlStore`, `RedisStore`, `AsyncRedisStore`, `InMemoryStore`, `AsyncInMemoryStore`, `make_store`;
    the interfaces `Store`, `AsyncStore`, `CircuitBreakerStore` and `DEFAULT_CIRCUIT_BREAKER_STATE`

Read the results of a store or a breaker
    `Snapshot`, `Transition`, `Permit`, `State`, `Verdict`, `HistoryEntry`, `PushState`

Set up and look after the table
    `migrate`, `prune`; see `cbstore_sql.migration` for further functions

Observe
    `CircuitBreakerMetrics`, `OpenTelemetryMetrics`, `FleetCollector`, `log_events`; the events in `cbstore_sql.events`

Handle errors
    `CircuitBreakerError`, `CircuitBreakerOpenError`, `ConfigurationError`, `GuardInUseError`, `InvalidArgumentError`,
    `InvalidNameError`, `InvalidPolicyError`, `InvalidStateError`, `MissingExtraError`, `StoreError`, `SchemaError`,
    `BreakerNotStoredError`, `StoreConflictError`, `StoreUnavailableError`, `TooManyBreakersError`,
    `UnknownBreakerError`, `UnstorableNameError`; see `cbstore_sql.errors` for the class tree

A module that defines ``__all__`` is public. Its public names are the names in ``__all__``. All other modules are
internal.

The import of this package loads neither SQLAlchemy nor redis. The package imports one of them when a program first uses
the name of a store that needs it.
"""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Permit, Snapshot, State, Transition, Verdict
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy, FailureRate
from cbstore_sql.errors import (
    BreakerNotStoredError,
    CircuitBreakerError,
    CircuitBreakerOpenError,
    ConfigurationError,
    GuardInUseError,
    InvalidArgumentError,
    InvalidNameError,
    InvalidPolicyError,
    InvalidStateError,
    MissingExtraError,
    SchemaError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    TooManyBreakersError,
    UnknownBreakerError,
    UnstorableNameError,
)
from cbstore_sql.extras import needs_extra
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.dict_protocol import DEFAULT_CIRCUIT_BREAKER_STATE, CircuitBreakerStore
from cbstore_sql.stores.factory import make_store
from cbstore_sql.stores.memory import AsyncInMemoryStore, InMemoryStore
from cbstore_sql.stores.push import PushState

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

__version__ = "0.2.0"

# The module of each name that this package imports on first use.
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

# The extra that a name needs beyond the base installation. The extra installs a module of the same name.
_EXTRAS = {
    "AsyncRedisStore": "redis",
    "RedisStore": "redis",
}

__all__ = [
    "DEFAULT_CIRCUIT_BREAKER_STATE",
    "DEFAULT_POLICY",
    "AsyncCircuitBreaker",
    "AsyncInMemoryStore",
    "AsyncRedisStore",
    "AsyncSqlStore",
    "AsyncStore",
    "BreakerNotStoredError",
    "BreakerPolicy",
    "CircuitBreaker",
    "CircuitBreakerError",
    "CircuitBreakerMetrics",
    "CircuitBreakerOpenError",
    "CircuitBreakerStore",
    "CircuitState",
    "ConfigurationError",
    "FailureRate",
    "FleetCollector",
    "GuardInUseError",
    "HistoryEntry",
    "InMemoryStore",
    "InvalidArgumentError",
    "InvalidNameError",
    "InvalidPolicyError",
    "InvalidStateError",
    "LLMCircuitBreaker",
    "LLMCircuitBreakerConfig",
    "MissingExtraError",
    "OpenTelemetryMetrics",
    "Permit",
    "PushState",
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
    "UnknownBreakerError",
    "UnstorableNameError",
    "Verdict",
    "classify_429",
    "extract_retry_after",
    "extract_status_code",
    "log_events",
    "make_store",
    "migrate",
    "prune",
]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _drop_names_without_their_extra(names: list[str]) -> None:
    """Remove the names whose extra is not installed, so that ``from cbstore_sql import *`` and ``help()`` work.

    Args:
        names: The list of names. This function changes the list.
    """
    missing = [name for name, module in _EXTRAS.items() if not _is_installed(module)]
    names[:] = [name for name in names if name not in missing]


_drop_names_without_their_extra(__all__)


def __dir__() -> list[str]:
    own = (name for name, value in globals().items() if name.startswith("__") or isinstance(value, ModuleType))
    return sorted({*__all__, *own})


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra(name, _EXTRAS[name]) if name in _EXTRAS else nullcontext():
        return getattr(import_module(_LAZY[name]), name)
