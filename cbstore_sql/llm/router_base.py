"""The parts that the blocking and the asynchronous router share."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Generic, TypeVar

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.llm.attempts import Attempts
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.failover import FailedOver, Memory, OnFailover
from cbstore_sql.llm.itinerary import Itinerary
from cbstore_sql.llm.observer import Observer
from cbstore_sql.llm.retry_budget import RetryBudget
from cbstore_sql.llm.targets import LLMTarget, Targets

BreakerT = TypeVar("BreakerT", CircuitBreaker, AsyncCircuitBreaker)

log = logging.getLogger("cbstore_sql")

DEFAULT_RAMP_UP = 10.0
"""Seconds over which a growing share of calls returns to a target whose circuit has closed."""


class RouterBase(Generic[BreakerT]):
    """The base class of `LLMRouter` and `AsyncLLMRouter`, with the constructor and the parts that both routers share.

    The arguments have the same meaning as those of `LLMRouter`.
    """

    _breaker: BreakerT

    def __init__(
        self,
        targets: Iterable[LLMTarget],
        config: LLMCircuitBreakerConfig | None,
        provider_down_at: int | None,
        ramp_up: float,
        on_failover: OnFailover | None,
    ) -> None:
        self.config = replace(config or LLMCircuitBreakerConfig(), enabled=True)
        self._targets = Targets(targets, provider_down_at)
        self._ramp_up = check_seconds("ramp_up", ramp_up)
        self._memory = Memory()
        self._told = on_failover

    @property
    def targets(self) -> tuple[LLMTarget, ...]:
        """The targets of the router, the most preferred first."""
        return self._targets.all

    def down_providers(self) -> set[str]:
        """Return the names of the providers that are down, as this process last saw their circuits.

        A provider is down if the circuits of at least ``provider_down_at`` of its models are open. This method does not
        read the store.
        """
        return self._targets.down([name for name in self._targets.names if self._breaker._seen_open(name)])

    def _attempts(self) -> Attempts:
        # A call tries each target once and retries nothing, so the retry budget has no limit.
        return Attempts("", self.config, Observer("", None), RetryBudget(None, 0.0), None, left=len(self.targets))

    def _itinerary(self, conversation: Hashable) -> Itinerary:
        return Itinerary(self._targets, self._memory, conversation, self._failed_over)

    def _failed_over(self, event: FailedOver) -> None:
        self._breaker._controller.notifier.emit(event)
        fields = {"cb_name": event.name, "cb_previous": event.previous}
        log.warning("calls go to %r now, and no longer to %r", event.name, event.previous, extra=fields)
        if self._told is None:
            return
        try:
            self._told(event)
        except Exception as error:  # noqa: BLE001 - an error of the application must not stop the call
            log.error("on_failover failed with %s", type(error).__name__)
