"""A health check that probes the API in place of a paid call."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from cbstore_sql.core.model import State, Verdict
from cbstore_sql.errors import CircuitBreakerError, CircuitBreakerOpenError, ConfigurationError
from cbstore_sql.llm.config import LLMCircuitBreakerConfig

log = logging.getLogger("cbstore_sql")

Probe = Callable[[], Any]


class _Base:
    """Asks a function of the application whether the API works.

    Args:
        probe: Called without arguments. It returns ``False`` or raises when the API does not work.
    """

    def __init__(self, probe: Probe) -> None:
        if not callable(probe):
            raise ConfigurationError("probe must be a callable without arguments, or None")
        self._probe = probe

    @staticmethod
    def passed_or_raise(name: str, verdict: Verdict, config: LLMCircuitBreakerConfig) -> None:
        """Reject the call that would have been the probe, unless the API works.

        Raises:
            CircuitBreakerOpenError: The health check failed, so the circuit is open again.
        """
        if verdict is not Verdict.SUCCESS:
            raise CircuitBreakerOpenError(
                name=name, state=State.OPEN.value, retry_after=float(config.reset_time_seconds)
            )


class HealthCheck(_Base):
    """A health check for callers that block."""

    def verdict(self) -> Verdict:
        """Ask, and return what the answer says about the API."""
        try:
            answer = self._probe()
            if inspect.isawaitable(answer):
                _close(answer)
                raise ConfigurationError("an asynchronous probe needs an asynchronous call")
        except Exception as error:  # noqa: BLE001 - whatever it raises, the API did not show that it works
            return _verdict_of(error)
        return Verdict.FAILURE if answer is False else Verdict.SUCCESS


class AsyncHealthCheck(_Base):
    """A health check for callers in an event loop: what the function returns is awaited if it can be."""

    async def verdict(self) -> Verdict:
        """Ask, and return what the answer says about the API."""
        try:
            answer = self._probe()
            if isinstance(answer, Awaitable):
                answer = await answer
        except Exception as error:  # noqa: BLE001 - whatever it raises, the API did not show that it works
            return _verdict_of(error)
        return Verdict.FAILURE if answer is False else Verdict.SUCCESS


def _verdict_of(error: Exception) -> Verdict:
    log.info("the health check failed with %s", type(error).__name__)
    if isinstance(error, CircuitBreakerError):
        log.error("the health check did not reach the API: %s", type(error).__name__)
        return Verdict.NONE
    return Verdict.FAILURE


def _close(answer: Any) -> None:
    if inspect.iscoroutine(answer):
        answer.close()
