"""Circuit breakers for calls to language models: failures of every provider, waits, retries and failover.

=========================  ==================================================================================
`breaker`                  `LLMCircuitBreaker`: one breaker for one model API
`config`                   `LLMCircuitBreakerConfig`
`classification`           the classification of exceptions and returned values, for every provider
`decision`                 the decision whether a failure opens the circuit, counts, or may be retried
`attempts`                 the decisions between the attempts of one call, without I/O
`follow_up`                admission, waits, and holds of the whole fleet; asynchronous: `follow_up_async`
`retry`                    one call with its retries; asynchronous: `retry_async`
`retry_budget`             the limit on the number of retries of one process
`stream`                   one call whose answer comes in chunks; asynchronous: `stream_async`
`chunks`                   errors in the chunks of a stream
`health`                   a health check that probes the API in place of a paid call
`base`                     the constructor and the common parts of an LLM breaker
`by_hand`                  admission and report in separate steps; asynchronous: `by_hand_async`
`router`                   `LLMRouter`: failover between targets; asynchronous: `router_async`
`router_base`              the parts that both routers share
`targets`                  `LLMTarget`, and the order in which a call tries the targets
`route`                    the steps of one call through the targets; asynchronous: `route_async`
`itinerary`                the choice of the target for each attempt of one call
`failover`                 the decisions and the memory of a router
`massgen`                  the same names, with the rules of MassGen
`headers`                  MassGen's functions for HTTP statuses and ``Retry-After``
`observer`                 the link between the breaker and a metrics object
`ambient_permits`          the memory of permits for callers that use `by_hand`
`store_adapters`           one store for blocking and for asynchronous callers
`dict_store`               a `Store` over a custom store with the dictionary protocol
=========================  ==================================================================================
"""

from __future__ import annotations

from cbstore_sql.llm.breaker import LLMCircuitBreaker
from cbstore_sql.llm.classification import classify_error, classify_result
from cbstore_sql.llm.classification.form import ApiFailure, FailureCategory
from cbstore_sql.llm.config import CircuitState, LLMCircuitBreakerConfig
from cbstore_sql.llm.decision import Decision, RateLimitAction
from cbstore_sql.llm.failover import FailedOver
from cbstore_sql.llm.headers import classify_429, extract_retry_after, extract_status_code
from cbstore_sql.llm.observer import Metrics
from cbstore_sql.llm.router import LLMRouter
from cbstore_sql.llm.router_async import AsyncLLMRouter
from cbstore_sql.llm.stream import GuardedStream
from cbstore_sql.llm.stream_async import AsyncGuardedStream
from cbstore_sql.llm.targets import LLMTarget

__all__ = [
    "ApiFailure",
    "AsyncGuardedStream",
    "AsyncLLMRouter",
    "CircuitState",
    "Decision",
    "FailedOver",
    "FailureCategory",
    "GuardedStream",
    "LLMCircuitBreaker",
    "LLMCircuitBreakerConfig",
    "LLMRouter",
    "LLMTarget",
    "Metrics",
    "RateLimitAction",
    "classify_429",
    "classify_error",
    "classify_result",
    "extract_retry_after",
    "extract_status_code",
]
