"""Asking and reporting by hand, for callers in an event loop."""

from __future__ import annotations

from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.base import LLMBreakerBase
from cbstore_sql.llm.config import CircuitState


class ByHandAsync(LLMBreakerBase):
    """The awaited twins of `ByHand`, over every store. The event loop is never blocked."""

    async def state_async(self) -> CircuitState:
        """Return the circuit's state as the store has it.

        Raises:
            StoreError: See `Store`.
        """
        return await self._awaited.state(self.backend_name)

    async def failure_count_async(self) -> int:
        """Return the failures since the last success, as the store has them; it raises what `state_async` does."""
        return (await self._awaited.snapshot(self.backend_name)).failure_count

    async def should_block_async(self) -> bool:
        """Ask whether the next call must not be made; see `LLMCircuitBreaker.should_block`."""
        if not self.config.enabled:
            return False
        held = self.permit
        try:
            self._callers.remember(await self._awaited.admit(self.backend_name))
        except CircuitBreakerOpenError:
            self._keep_after_rejection(held)
            return True
        return False

    async def record_success_async(self, *, permit: Permit | None = None) -> None:
        """Report that a call was answered; see `LLMCircuitBreaker.record_success`.

        Args:
            permit: See `LLMCircuitBreaker.record_success`.
        """
        if self.config.enabled:
            await self._report_async(Verdict.SUCCESS, permit)

    async def record_failure_async(
        self, error_type: str | None = None, error_message: str | None = None, *, permit: Permit | None = None
    ) -> None:
        """Report that a call failed; see `LLMCircuitBreaker.record_failure`.

        Args:
            error_type: For the log.
            error_message: Not used.
            permit: See `LLMCircuitBreaker.record_success`.
        """
        if self.config.enabled:
            self._log_failure(error_type)
            await self._report_async(Verdict.FAILURE, permit)

    async def force_open_async(self, reason: str = "", open_for_seconds: float = 0) -> None:
        """Open the circuit; see `LLMCircuitBreaker.force_open`.

        Args:
            reason: For the log.
            open_for_seconds: Seconds, where they are more than ``reset_time_seconds``.
        """
        if self.config.enabled:
            await self._awaited.force_open(self.backend_name, self.config.open_seconds(open_for_seconds))
            self._log_forced(reason)

    async def reset_async(self) -> None:
        """Close the circuit and clear its counts; see `LLMCircuitBreaker.reset`."""
        await self._awaited.reset(self.backend_name)

    async def _report_async(self, verdict: Verdict, permit: Permit | None) -> None:
        breaker = self._awaited
        given = permit or self.permit or self._permit_of_a_stranger(await breaker.snapshot(self.backend_name))
        if given is not None:
            await breaker._settle(given, verdict, or_raise=True)
        if permit is None:
            self._callers.forget()
