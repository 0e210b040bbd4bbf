"""Methods that admit a call and report its outcome in separate steps, for asynchronous callers."""

from __future__ import annotations

from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.llm.base import LLMBreakerBase
from cbstore_sql.llm.config import CircuitState


class ByHandAsync(LLMBreakerBase):
    """The asynchronous methods for callers that admit a call and report its outcome themselves.

    Each method does what the method of `ByHand` with the same name does. The methods work with every kind of store and
    never block the event loop.
    """

    async def state_async(self) -> CircuitState:
        """Read the circuit's state from the store and return it: closed, open or half_open.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        return await self._awaited.state(self.backend_name)

    async def failure_count_async(self) -> int:
        """Read the number of failures since the last success from the store and return it.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        return (await self._awaited.snapshot(self.backend_name)).failure_count

    async def should_block_async(self) -> bool:
        """Admit or reject the next call; see `LLMCircuitBreaker.should_block`.

        Returns:
            ``True`` if the breaker rejects the call, ``False`` if the caller may make the call.

        Raises:
            StoreError: The store does not answer and ``on_store_outage`` is ``"raise"``, or the breaker table is
                missing.
        """
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
        """Report that a call succeeded; see `LLMCircuitBreaker.record_success`.

        Args:
            permit: The permit of the call. ``None`` means the permit of the current thread or asyncio task. Without any
                permit, the report has an effect only while the circuit is closed.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        if self.config.enabled:
            await self._report_async(Verdict.SUCCESS, permit)

    async def record_failure_async(
        self, error_type: str | None = None, error_message: str | None = None, *, permit: Permit | None = None
    ) -> None:
        """Report that a call failed; see `LLMCircuitBreaker.record_failure`.

        Args:
            error_type: The kind of failure, for the log; ``None`` if unknown.
            error_message: Not used, because the message of a client may contain secrets that must not be logged.
            permit: The permit of the call. ``None`` means the permit of the current thread or asyncio task. Without any
                permit, the report has an effect only while the circuit is closed.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        if self.config.enabled:
            self._log_failure(error_type)
            await self._report_async(Verdict.FAILURE, permit)

    async def force_open_async(self, reason: str = "", open_for_seconds: float = 0) -> None:
        """Open the circuit for at least ``reset_time_seconds``; see `LLMCircuitBreaker.force_open`.

        Args:
            reason: Why the circuit is opened, for the log.
            open_for_seconds: The open time in seconds. A value below ``reset_time_seconds``, such as the default 0,
                means ``reset_time_seconds``.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        if self.config.enabled:
            await self._awaited.force_open(self.backend_name, self.config.open_seconds(open_for_seconds))
            self._log_forced(reason)

    async def reset_async(self) -> None:
        """Close the circuit and set its counts to 0; see `LLMCircuitBreaker.reset`.

        Raises:
            StoreError: The store failed; see `Store`.
        """
        await self._awaited.reset(self.backend_name)

    async def _report_async(self, verdict: Verdict, permit: Permit | None) -> None:
        breaker = self._awaited
        given = permit or self.permit or self._permit_of_a_stranger(await breaker.snapshot(self.backend_name))
        if given is not None:
            await breaker._settle(given, verdict, or_raise=True)
        if permit is None:
            self._callers.forget()
