"""Failover between models, providers and keys, for callers that block."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.failover import OnFailover
from cbstore_sql.llm.retry import Retries
from cbstore_sql.llm.route import Route
from cbstore_sql.llm.router_base import DEFAULT_RAMP_UP, RouterBase
from cbstore_sql.llm.stream import GuardedStream
from cbstore_sql.llm.targets import LLMTarget
from cbstore_sql.stores.base import Store

T = TypeVar("T")


class LLMRouter(RouterBase[CircuitBreaker]):
    """Calls the first of several targets whose circuit admits the call.

    Every target has its own circuit, which the whole fleet shares. A call asks each target at most once, so a
    call costs at most one paid attempt per target. It goes on to the next target when one fails in a way that another
    may not. Calls return to a better target when its probe has closed its circuit, at a ramp.

    A key that the provider rejects (401, 403) takes all targets with that key out, in all processes, until
    `reset_key`. A short wait that a provider asks for holds its target up for the whole fleet.

    Args:
        targets: In order of preference.
        store: Where the circuits are kept.
        config: The settings of every target; ``None`` means the defaults. ``enabled`` is not read. Nothing is retried
            or waited for: another target is asked instead.
        provider_down_at: How many distinct models of a provider must be open for the provider to count as down. Its
            other models are then asked last. ``None``: providers are not judged.
        ramp_up: Seconds over which a growing share of calls returns to a target whose circuit has closed; 0 returns all
            at once.
        on_failover: Called with a `FailedOver` when the calls of this process go to another target. What it raises is
            logged.
        **options: Further arguments of `CircuitBreaker`: ``store_timeout``, ``listeners``, ``max_staleness``, …

    Raises:
        ConfigurationError: There are no targets, or two with one name.
    """

    def __init__(
        self,
        targets: Iterable[LLMTarget],
        store: Store,
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
        self._breaker = CircuitBreaker(store, policy, reopen_on_no_verdict=reopen, **options)

    def call(self, function: Callable[[LLMTarget], T], *, conversation: Hashable = None) -> T:
        """Make one call at the first target that answers.

        Args:
            function: Called with a target.
            conversation: Calls with the same key stay at their target for as long as it admits them (for its prompt
                cache, say). ``None``: the call goes by the order of preference.

        Raises:
            CircuitBreakerOpenError: No target admits the call. Once a target has been asked, its exception is raised.
        """
        route = self._route(conversation)
        return Retries(route, lambda: function(route.target)).answer()

    def stream(self, function: Callable[[LLMTarget], Any], *, conversation: Hashable = None) -> GuardedStream:
        """Guard a call whose answer comes in chunks; see `LLMCircuitBreaker.stream`.

        Targets are tried until a stream is open. Once it is open nothing is repeated.

        Args:
            function: Called with a target to open the stream.
            conversation: See `call`.
        """
        route = self._route(conversation)
        return GuardedStream(route, lambda: function(route.target))

    def reset_key(self, provider: str, key: str = "") -> None:
        """Use a key again that was taken out: close the circuits of all its targets.

        Args:
            provider: The provider.
            key: The key's label.
        """
        for target in self.targets:
            if (target.provider, target.key) == (provider, key):
                self._breaker.reset(target.name)

    def close(self) -> None:
        """Stop the background work."""
        self._breaker.close()

    def _route(self, conversation: Hashable) -> Route:
        return Route(self._breaker, self._attempts(), time.sleep, self._itinerary(conversation))
