"""Circuit breakers for calls to language models: failures of every provider, waits, retries and failover.

=========================  ==================================================================================
`breaker`                  `LLMCircuitBreaker`: one breaker for one model API
`config`                   `LLMCircuitBreakerConfig`
`classification`           what an exception or a returned value says about the API, for every provider
`decision`                 what follows: whether a failure counts, is tried again, and when
`attempts`                 the decisions between the attempts of one call, without I/O
`follow_up`                admission, waits and what the API asked of the whole fleet; twin `follow_up_async`
`retry`                    one call with its retries; twin `retry_async`
`retry_budget`             retries as a share of a process's own calls
`stream`                   one call whose answer comes in chunks; twin `stream_async`
`chunks`                   errors in the chunks of a stream
`health`                   a health check that probes the API in place of a paid call
`base`                     the parts of an LLM breaker that its operations share
`by_hand`                  asking and reporting in separate calls; twin `by_hand_async`
`router`                   `LLMRouter`: failover between targets; twin `router_async`
`router_base`              the parts that both routers share
`targets`                  `LLMTarget`, and the order in which targets are asked
`route`                    admits each attempt of one call to a target; twin `route_async`
`itinerary`                which target each attempt of one call goes to
`failover`                 whether another target may help, and what a router remembers
`massgen`                  the same names with the rules of MassGen
`headers`                  MassGen's functions for HTTP statuses and ``Retry-After``
`observer`                 what the breaker tells a metrics object
`ambient_permits`          permits for callers that ask and report in separate calls
`store_adapters`           one store for blocking and for awaiting callers
`dict_store`               a store that knows only the dictionary protocol, as a `Store`
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
