"""Asking and reporting by hand, for callers that block."""

from __future__ import annotations

from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.base import LLMBreakerBase
from cbstore_sql.llm.config import CircuitState


class ByHand(LLMBreakerBase):
    """The operations of an `LLMCircuitBreaker` for callers that ask and report in separate steps, and block."""

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

    def should_block(self) -> bool:
        """Ask whether the next call must not be made.

        Returns:
            ``False`` admits the call. Through a circuit whose open time has elapsed one caller is admitted, as the
            probe.

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
            self._keep_after_rejection(held)
            return True
        return False

    def record_success(self, *, permit: Permit | None = None) -> None:
        """Report that a call was answered: it clears the count, or closes a half-open circuit whose probe it was.

        Args:
            permit: What `permit` was when this call was admitted; ``None`` means what the present caller was given.
                A caller that was given nothing may report while the circuit is closed.

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
            self._log_failure(error_type)
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
        if self.config.enabled:
            self._sync_breaker.force_open(self.backend_name, self.config.open_seconds(open_for_seconds))
            self._log_forced(reason)

    def reset(self) -> None:
        """Close the circuit and clear its counts, even while the breaker is not enabled.

        Raises:
            StoreError: See `Store`.
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
