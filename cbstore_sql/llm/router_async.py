"""Failover between models, providers and keys, for asynchronous callers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.failover import OnFailover
from cbstore_sql.llm.retry_async import AsyncRetries
from cbstore_sql.llm.route_async import AsyncRoute
from cbstore_sql.llm.router_base import DEFAULT_RAMP_UP, RouterBase
from cbstore_sql.llm.stream_async import AsyncGuardedStream
from cbstore_sql.llm.targets import LLMTarget
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore

T = TypeVar("T")


class AsyncLLMRouter(RouterBase[AsyncCircuitBreaker]):
    """An asynchronous router that sends each call to the first of several targets whose circuit admits the call.

    Every target has its own circuit, which all processes of the fleet share. If a target fails, the call goes to the
    next target, unless the request itself is wrong. A call tries each target at most once, so a call costs at most
    one paid attempt per target. After a successful probe of a more preferred target, a growing share of the calls
    returns to this target.

    If a provider rejects a key (401, 403), the router opens the circuits of all targets with this key, in all
    processes, until `reset_key`. If a provider asks for a short wait, no process of the fleet calls this target during
    the wait.

    Args:
        targets: The targets, the most preferred first. At least one target; all names must differ.
        store: The store that keeps the state of the circuits.
        config: The settings of every target; ``None`` means the defaults. The router ignores ``enabled`` and is always
            enabled. The router does not repeat a call to the same target; the call goes to the next target.
        provider_down_at: The number of different models of one provider whose circuits must be open before the router
            treats the provider as down; at least 1. While a provider is down, a call tries the other models of this
            provider only after all other targets. ``None`` means that the router treats no provider as down.
        ramp_up: For how many seconds only a growing share of the calls returns to a target whose circuit has closed. 0
            means that all calls return at once.
        on_failover: A function that the router calls with a `FailedOver` when the calls of this process change to a
            different target. The router logs an exception of this function and continues. ``None`` for no function.
        **options: Further arguments of `AsyncCircuitBreaker`: ``store_timeout``, ``listeners``, ``max_staleness``, …

    Raises:
        ConfigurationError: ``targets`` is empty, an element is not an `LLMTarget`, or two targets have the same name.
        InvalidPolicyError: ``provider_down_at`` is less than 1, or ``ramp_up`` is negative or not finite.
    """

    def __init__(
        self,
        targets: Iterable[LLMTarget],
        store: AsyncStore | Store,
        config: LLMCircuitBreakerConfig | None = None,
        *,
        provider_down_at: int | None = 2,
        ramp_up: float = DEFAULT_RAMP_UP,
        on_failover: OnFailover | None = None,
        **options: Any,
    ) -> None:
        super().__init__(targets, config, provider_down_at, ramp_up, on_failover)
        policy = replace(self.config.policy, ramp_up=self._ramp_up)
        reopen = self.config.reopen_on_no_verdict
        self._breaker = AsyncCircuitBreaker(store, policy, reopen_on_no_verdict=reopen, **options)

    async def call(self, function: Callable[[LLMTarget], Awaitable[T]], *, conversation: Hashable = None) -> T:
        """Make one call and return the answer of the first target that answers.

        Args:
            function: A function that starts one attempt. The router calls the function with a target and awaits the
                result.
            conversation: A key for calls that belong together, such as a conversation id. Calls with the same key go to
                the same target as long as this target admits the calls, so that the target can use its prompt cache.
                ``None`` means that the call follows the order of preference.

        Raises:
            CircuitBreakerOpenError: No target admitted the call, and the call made no attempt.
            Exception: The exception of the last attempt, if no target answered.
        """
        route = self._route(conversation)
        return await AsyncRetries(route, lambda: function(route.target)).answer()

    def stream(self, function: Callable[[LLMTarget], Any], *, conversation: Hashable = None) -> AsyncGuardedStream:
        """Guard a call whose answer comes in chunks; see `LLMCircuitBreaker.stream`.

        Entering the returned stream tries the targets until one target opens a stream. After that, the router repeats
        nothing.

        Args:
            function: A function that opens a stream. The router calls the function with a target.
            conversation: A key for calls that belong together. Calls with the same key go to the same target as long as
                this target admits the calls. ``None`` means that the call follows the order of preference.

        Returns:
            An asynchronous context manager and iterator of the chunks.
        """
        route = self._route(conversation)
        return AsyncGuardedStream(route, lambda: function(route.target))

    async def reset_key(self, provider: str, key: str = "") -> None:
        """Close the circuits of all targets with one provider and one key, so that calls use the key again.

        Call this method after you have replaced or repaired a key that the provider rejected.

        Args:
            provider: The provider, as in `LLMTarget`.
            key: The label of the key, as in `LLMTarget`; ``""`` for the targets without a label.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        for target in self.targets:
            if (target.provider, target.key) == (provider, key):
                await self._breaker.reset(target.name)

    async def close(self) -> None:
        """Stop the background work of the router. The store stays open."""
        await self._breaker.close()

    def _route(self, conversation: Hashable) -> AsyncRoute:
        return AsyncRoute(self._breaker, self._attempts(), asyncio.sleep, self._itinerary(conversation))
