"""The circuit breaker for calls to one language model API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.core.model import Permit, State, Verdict
from cbstore_sql.core.validation import DEFAULT_STORE_TIMEOUT, check_name, check_threshold
from cbstore_sql.errors import CircuitBreakerOpenError, ConfigurationError
from cbstore_sql.events import Listener
from cbstore_sql.llm.ambient_permits import Callers
from cbstore_sql.llm.attempts import Attempts, counts
from cbstore_sql.llm.config import CircuitState, LLMCircuitBreakerConfig
from cbstore_sql.llm.observer import Metrics, Observer
from cbstore_sql.llm.retry_async import AsyncRetries, AsyncSleep
from cbstore_sql.llm.retry_budget import RetryBudget
from cbstore_sql.llm.store_adapters import AnyStore, faces
from cbstore_sql.runtime.pickling import NotPicklable

T = TypeVar("T")

log = logging.getLogger("cbstore_sql")

# Beside a call that takes seconds the store's answer costs nothing, and it is never out of date.
_ALWAYS_ASK = 0.0


class LLMCircuitBreaker(NotPicklable):
    """Guards the calls to one API, in this process or, over a shared store, in a fleet.

    `call_with_retry` does everything. Callers who cannot use it ask `should_block` and then report with
    `record_success` or `record_failure`; a half-open circuit takes only the report of the caller whose call is the
    probe. A caller is a thread or an asyncio task, and what it starts; one who asks in one and reports in another
    carries `permit` along. Such reports, unlike those of `call_with_retry`, raise what the store raises.

    Safe to use from many threads and event loops.

    Args:
        config: ``None`` means the defaults, with which everything passes.
        backend_name: The breaker's name.
        metrics: Told of changes of state, attempts and refusals.
        store: Where the breaker is kept: a `Store`, an `AsyncStore` (then only `call_with_retry` can be used), or
            any object with the eight methods of `CircuitBreakerStore`. ``None`` keeps it in this object.
        store_timeout: See `CircuitBreaker`, seconds.
        on_store_outage: See `CircuitBreaker`.
        listeners: Called with every event; see `cbstore_sql.events`.
        sleep: Awaited with seconds, to wait before a retry; ``None`` means ``asyncio.sleep``.

    Raises:
        ConfigurationError: The name or the store cannot be used.
    """

    def __init__(
        self,
        config: LLMCircuitBreakerConfig | None = None,
        backend_name: str = "claude",
        metrics: Metrics | None = None,
        store: AnyStore | None = None,
        *,
        store_timeout: float | None = DEFAULT_STORE_TIMEOUT,
        on_store_outage: OutagePolicy = "local",
        listeners: Iterable[Listener] = (),
        sleep: AsyncSleep | None = None,
    ) -> None:
        self.config = config or LLMCircuitBreakerConfig()
        self.backend_name = check_name("backend_name", backend_name)
        self._observer = Observer(backend_name, metrics)
        self._callers = Callers()
        self._budget = RetryBudget(self.config.retry_share, self.config.retry_burst)
        self._sleep = sleep
        blocking, awaited = faces(store, self.config.policy)
        self._awaited = AsyncCircuitBreaker(
            awaited,
            self.config.policy,
            is_failure=counts,
            reopen_on_no_verdict=self.config.reopen_on_no_verdict,
            store_timeout=store_timeout,
            on_store_outage=on_store_outage,
            listeners=(self._observer, *listeners),
            max_staleness=_ALWAYS_ASK,
        )
        self._blocking: CircuitBreaker | None = None
        if blocking is not None:
            self._blocking = CircuitBreaker(blocking, store_timeout=store_timeout, max_staleness=_ALWAYS_ASK)
            # One controller, so that an outage of the store is one outage.
            self._blocking._share(self._awaited._controller)

    def __repr__(self) -> str:
        try:
            snapshot = self._sync_breaker.snapshot(self.backend_name)
            seen = f"state={snapshot.state}, failures={snapshot.failure_count}/{self.config.max_failures}"
        except Exception:  # noqa: BLE001 - who prints a breaker does not ask for its store's errors
            seen = "state=unknown"
        return f"LLMCircuitBreaker({seen}, backend={self.backend_name!r})"

    @property
    def state(self) -> CircuitState:
        """The circuit's state as the store has it.

        Raises:
            StoreError: See `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        return self._sync_breaker.state(self.backend_name)

    @property
    def failure_count(self) -> int:
        """Failures since the last success, as the store has them; it raises what `state` does."""
        return self._sync_breaker.snapshot(self.backend_name).failure_count

    @property
    def permit(self) -> Permit | None:
        """What `should_block` gave the present caller, until it reports; ``None`` where it has nothing."""
        return self._callers.permit

    def should_block(self) -> bool:
        """Ask whether the next call must not be made.

        ``False`` admits it; through a circuit whose time has elapsed one caller is admitted, as the probe.

        Raises:
            StoreError: With ``on_store_outage="raise"``, or the table is missing.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if not self.config.enabled:
            return False
        held = self.permit
        try:
            self._callers.remember(self._sync_breaker.admit(self.backend_name))
        except CircuitBreakerOpenError:
            # A second question must not cost the caller the probe that the first one gave.
            if held is not None and not held.is_probe:
                self._callers.forget()
            return True
        return False

    def record_success(self, *, permit: Permit | None = None) -> None:
        """Report that a call was answered: the count is cleared, or a half-open circuit closed by its probe.

        Args:
            permit: What `permit` was when this call was admitted; ``None`` means what the present caller was given.
                A caller that was given nothing is heard while the circuit is closed.

        Raises:
            StoreError: See `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if self.config.enabled:
            self._report(Verdict.SUCCESS, permit)

    def record_failure(
        self, error_type: str | None = None, error_message: str | None = None, *, permit: Permit | None = None
    ) -> None:
        """Report that a call failed: it counts, or opens a half-open circuit whose probe it was.

        Args:
            error_type: For the log.
            error_message: Not used: what a client says of a failed call may hold what must not be logged.
            permit: See `record_success`.

        Raises:
            StoreError: See `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if self.config.enabled:
            fields = {"cb_name": self.backend_name, "cb_error": error_type}
            log.info("circuit breaker %r: failure (%s)", self.backend_name, error_type, extra=fields)
            self._report(Verdict.FAILURE, permit)

    def force_open(self, reason: str = "", open_for_seconds: float = 0) -> None:
        """Open the circuit for at least ``reset_time_seconds``; an open time is never shortened.

        Args:
            reason: For the log.
            open_for_seconds: Seconds, where they are more than ``reset_time_seconds``.

        Raises:
            StoreError: See `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if not self.config.enabled:
            return
        self._sync_breaker.force_open(self.backend_name, self.config.open_seconds(open_for_seconds))
        fields = {"cb_name": self.backend_name, "cb_reason": reason}
        log.warning("circuit breaker %r is forced open: %s", self.backend_name, reason, extra=fields)

    def reset(self) -> None:
        """Close and clean the circuit, even while the breaker is not enabled.

        Raises:
            StoreError: See `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        self._sync_breaker.reset(self.backend_name)

    async def call_with_retry(
        self, coro_factory: Callable[[], Awaitable[T]], *, max_retries: int = 3, agent_id: str | None = None
    ) -> T:
        """Make a call, and make it again where that may help.

        A 429 is waited out (``Retry-After`` up to the threshold), opens the circuit for the time asked for (beyond
        it) or counts and is tried again after a pause (without it). The retryable statuses count and are tried
        again unless the circuit has opened. Everything else is raised at once and does not count.

        Args:
            coro_factory: Called without arguments for each attempt; what it returns is awaited.
            max_retries: How many attempts are made at most, the first included; at least 1.
            agent_id: For the log.

        Returns:
            The answer, whatever becomes of the report about it.

        Raises:
            CircuitBreakerOpenError: An attempt was refused.
            InvalidPolicyError: ``max_retries`` is no such number.
        """
        if not self.config.enabled:
            return await coro_factory()
        attempts = Attempts(
            self.backend_name,
            self.config,
            self._observer,
            self._budget,
            agent_id,
            left=check_threshold("max_retries", max_retries),
        )
        retries = AsyncRetries(self._awaited, attempts, coro_factory, self._sleep or asyncio.sleep)
        return await retries.answer()

    @property
    def _sync_breaker(self) -> CircuitBreaker:
        if self._blocking is None:
            raise ConfigurationError("over an AsyncStore only call_with_retry can be used: its operations are awaited")
        return self._blocking

    def _report(self, verdict: Verdict, permit: Permit | None) -> None:
        given = permit or self.permit or self._anonymous_permit()
        if given is not None:
            self._sync_breaker._settle(given, verdict, or_raise=True)
        if permit is None:
            self._callers.forget()

    def _anonymous_permit(self) -> Permit | None:
        """Who never asked is heard only by a closed circuit, and only as it is now."""
        snapshot = self._sync_breaker.snapshot(self.backend_name)
        return snapshot.permit if snapshot.state is State.CLOSED else None
