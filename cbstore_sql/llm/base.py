"""The parts of an LLM breaker that its synchronous and its asynchronous operations share."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.core.model import Permit, Snapshot, State
from cbstore_sql.core.validation import DEFAULT_STORE_TIMEOUT, check_name, check_threshold
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.events import Listener
from cbstore_sql.llm.ambient_permits import Callers
from cbstore_sql.llm.attempts import Attempts
from cbstore_sql.llm.config import LLMCircuitBreakerConfig
from cbstore_sql.llm.follow_up import Sleep
from cbstore_sql.llm.follow_up_async import AsyncSleep
from cbstore_sql.llm.health import Probe
from cbstore_sql.llm.observer import Metrics, Observer
from cbstore_sql.llm.retry_budget import RetryBudget
from cbstore_sql.llm.store_adapters import AnyStore, faces
from cbstore_sql.runtime.pickling import NotPicklable

log = logging.getLogger("cbstore_sql")

# A call to a model takes seconds, so reading the store before each call costs little. The view is then always current.
_ALWAYS_ASK = 0.0


class LLMBreakerBase(NotPicklable):
    """The base class of `LLMCircuitBreaker`, with the constructor and the parts that all operations use.

    Args:
        config: The settings. ``None`` means the defaults, which have ``enabled=False``: the breaker admits every call
            and records nothing.
        backend_name: The breaker's name. Processes with the same name and the same store share one circuit.
        metrics: The object whose methods the breaker calls at each change of state, attempt and rejection; see
            `Metrics`. ``None`` records no metrics.
        store: The store that keeps the breaker's state: a `Store`, an `AsyncStore`, or any object with the eight
            methods of `CircuitBreakerStore`. With an `AsyncStore` only the asynchronous methods work. ``None`` keeps
            the state in this object, so that no other process sees the state.
        store_timeout: The longest time in seconds that a store operation may take; see `CircuitBreaker`.
        on_store_outage: What the breaker does while the store does not answer; see `CircuitBreaker`.
        listeners: Functions that the breaker calls with every event; see `cbstore_sql.events`.
        sleep: An asynchronous function that waits before a retry. The breaker calls the function with the seconds and
            awaits the result. ``None`` means ``asyncio.sleep``.
        sleep_sync: A function that blocks before a retry. The breaker calls the function with the seconds. ``None``
            means ``time.sleep``.
        probe: A health check without arguments. When an open circuit may be probed, the breaker calls the health check
            in place of a paid call. The health check returns ``False`` or raises if the API does not work.
            Asynchronous calls await an awaitable result. ``None`` makes the next call the probe.

    Raises:
        ConfigurationError: ``backend_name`` is not a valid name, ``store`` is not a store, or ``probe`` is not
            callable.
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
        sleep_sync: Sleep | None = None,
        probe: Probe | None = None,
    ) -> None:
        self.config = config or LLMCircuitBreakerConfig()
        self.backend_name = check_name("backend_name", backend_name)
        if probe is not None and not callable(probe):
            raise ConfigurationError("probe must be a callable without arguments, or None")
        self._probe = probe
        self._sleep = sleep
        self._sleep_sync = sleep_sync
        self._observer = Observer(backend_name, metrics)
        self._callers = Callers()
        self._budget = RetryBudget(self.config.retry_share, self.config.retry_burst)
        blocking, awaited = faces(store, self.config.policy)
        self._awaited = AsyncCircuitBreaker(
            awaited,
            self.config.policy,
            reopen_on_no_verdict=self.config.reopen_on_no_verdict,
            store_timeout=store_timeout,
            on_store_outage=on_store_outage,
            listeners=(self._observer, *listeners),
            max_staleness=_ALWAYS_ASK,
        )
        self._blocking: CircuitBreaker | None = None
        if blocking is not None:
            self._blocking = CircuitBreaker(blocking, store_timeout=store_timeout, max_staleness=_ALWAYS_ASK)
            # Both breakers share one controller, so that both see the same outage of the store.
            self._blocking._share(self._awaited._controller)

    def __repr__(self) -> str:
        try:
            snapshot = self._sync_breaker.snapshot(self.backend_name)
            seen = f"state={snapshot.state}, failures={snapshot.failure_count}/{self.config.max_failures}"
        except Exception:  # noqa: BLE001 - printing a breaker must not raise the store's errors
            seen = "state=unknown"
        return f"{type(self).__name__}({seen}, backend={self.backend_name!r})"

    @property
    def permit(self) -> Permit | None:
        """The permit that `should_block` gave to the current thread or asyncio task.

        ``None`` if `should_block` has not admitted a call of this thread or task, or if this thread or task has already
        reported the outcome.
        """
        return self._callers.permit

    @property
    def _sync_breaker(self) -> CircuitBreaker:
        if self._blocking is None:
            raise ConfigurationError(
                "over an AsyncStore the operations are awaited: use call_with_retry, stream, and the methods that end "
                "in _async"
            )
        return self._blocking

    def _attempts(self, max_retries: int, agent_id: str | None) -> Attempts:
        left = check_threshold("max_retries", max_retries)
        return Attempts(self.backend_name, self.config, self._observer, self._budget, agent_id, left)

    def _keep_after_rejection(self, held: Permit | None) -> None:
        """Forget the earlier permit of a rejected caller, unless the permit owns a probe.

        The owner of a probe may call `should_block` again and must not lose the probe by doing so.

        Args:
            held: The permit that the caller had before the rejection; ``None`` if the caller had no permit.
        """
        if held is not None and not held.is_probe:
            self._callers.forget()

    def _permit_of_a_stranger(self, snapshot: Snapshot) -> Permit | None:
        """Return the permit for a report by a caller without a permit; ``None`` unless the circuit is closed."""
        return snapshot.permit if snapshot.state is State.CLOSED else None

    def _log_failure(self, error_type: str | None) -> None:
        fields = {"cb_name": self.backend_name, "cb_error": error_type}
        log.info("circuit breaker %r: failure (%s)", self.backend_name, error_type, extra=fields)

    def _log_forced(self, reason: str) -> None:
        fields = {"cb_name": self.backend_name, "cb_reason": reason}
        log.warning("circuit breaker %r is forced open: %s", self.backend_name, reason, extra=fields)
