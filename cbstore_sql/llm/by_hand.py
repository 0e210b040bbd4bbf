"""Methods that admit a call and report its outcome in separate steps, for callers that block."""

from __future__ import annotations

from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.base import LLMBreakerBase
from cbstore_sql.llm.config import CircuitState


class ByHand(LLMBreakerBase):
    """The blocking methods of an `LLMCircuitBreaker` for callers that admit a call and report its outcome themselves.

    The methods of `ByHandAsync` do the same for asynchronous callers.
    """

    @property
    def state(self) -> CircuitState:
        """The circuit's state: closed, open or half_open. Each access reads the store.

        Raises:
            StoreError: The store failed; see `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        return self._sync_breaker.state(self.backend_name)

    @property
    def failure_count(self) -> int:
        """The number of failures since the last success. Each access reads the store.

        Raises:
            StoreError: The store failed; see `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        return self._sync_breaker.snapshot(self.backend_name).failure_count

    def should_block(self) -> bool:
        """Admit or reject the next call. After an admitted call, report the outcome.

        If the open time of the circuit has elapsed, one caller is admitted and makes the probe.

        Returns:
            ``True`` if the breaker rejects the call. ``False`` if the caller may make the call, or if the config has
            ``enabled=False``.

        Raises:
            StoreError: The store does not answer and ``on_store_outage`` is ``"raise"``, or the breaker table is
                missing.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if not self.config.enabled:
            return False
        held = self.permit
        try:
            self._callers.remember(self._sync_breaker.admit(self.backend_name))
        except CircuitBreakerOpenError:
            self._keep_after_rejection(held)
            return True
        return False

    def record_success(self, *, permit: Permit | None = None) -> None:
        """Report that a call succeeded.

        In a closed circuit, the success sets the failure count to 0. In a half_open circuit, a successful probe closes
        the circuit. With ``enabled=False`` in the config, this method does nothing.

        Args:
            permit: The value of the property `permit` after `should_block` admitted the call. ``None`` means the permit
                of the current thread or asyncio task. Without any permit, the report has an effect only while the
                circuit is closed.

        Raises:
            StoreError: The store failed; see `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if self.config.enabled:
            self._report(Verdict.SUCCESS, permit)

    def record_failure(
        self, error_type: str | None = None, error_message: str | None = None, *, permit: Permit | None = None
    ) -> None:
        """Report that a call failed.

        In a closed circuit, the failure counts towards ``max_failures``. In a half_open circuit, a failed probe opens
        the circuit again. With ``enabled=False`` in the config, this method does nothing.

        Args:
            error_type: The kind of failure, for the log; ``None`` if unknown.
            error_message: Not used, because the message of a client may contain secrets that must not be logged.
            permit: The value of the property `permit` after `should_block` admitted the call. ``None`` means the permit
                of the current thread or asyncio task. Without any permit, the report has an effect only while the
                circuit is closed.

        Raises:
            StoreError: The store failed; see `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if self.config.enabled:
            self._log_failure(error_type)
            self._report(Verdict.FAILURE, permit)

    def force_open(self, reason: str = "", open_for_seconds: float = 0) -> None:
        """Open the circuit for at least ``reset_time_seconds``.

        If the circuit is already open for a longer time, the longer time stays. With ``enabled=False`` in the config,
        this method does nothing.

        Args:
            reason: Why the circuit is opened, for the log.
            open_for_seconds: The open time in seconds. A value below ``reset_time_seconds``, such as the default 0,
                means ``reset_time_seconds``.

        Raises:
            StoreError: The store failed; see `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if self.config.enabled:
            self._sync_breaker.force_open(self.backend_name, self.config.open_seconds(open_for_seconds))
            self._log_forced(reason)

    def reset(self) -> None:
        """Close the circuit and set its counts to 0, also with ``enabled=False`` in the config.

        Raises:
            StoreError: The store failed; see `Store`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        self._sync_breaker.reset(self.backend_name)

    def _report(self, verdict: Verdict, permit: Permit | None) -> None:
        breaker = self._sync_breaker
        given = permit or self.permit or self._permit_of_a_stranger(breaker.snapshot(self.backend_name))
        if given is not None:
            breaker._settle(given, verdict, or_raise=True)
        if permit is None:
            self._callers.forget()
