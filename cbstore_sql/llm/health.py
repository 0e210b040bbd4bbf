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
    """The base class of the health checks, with the probe function of the application.

    Args:
        probe: A function without arguments. The function returns ``False`` or raises if the API does not work.

    Raises:
        ConfigurationError: ``probe`` is not callable.
    """

    def __init__(self, probe: Probe) -> None:
        if not callable(probe):
            raise ConfigurationError("probe must be a callable without arguments, or None")
        self._probe = probe

    @staticmethod
    def passed_or_raise(name: str, verdict: Verdict, config: LLMCircuitBreakerConfig) -> None:
        """Check the verdict of the health check, and reject the call unless the verdict is a success.

        Args:
            name: The breaker's name.
            verdict: The verdict of the health check.
            config: The settings; ``reset_time_seconds`` becomes the ``retry_after`` of the rejection.

        Raises:
            CircuitBreakerOpenError: The verdict is not a success, so the circuit is open again.
        """
        if verdict is not Verdict.SUCCESS:
            raise CircuitBreakerOpenError(
                name=name, state=State.OPEN.value, retry_after=float(config.reset_time_seconds)
            )


class HealthCheck(_Base):
    """Run the application's probe function to find out whether the API works, for callers that block.

    Args:
        probe: A function without arguments. The function returns ``False`` or raises if the API does not work.

    Raises:
        ConfigurationError: ``probe`` is not callable.
    """

    def verdict(self) -> Verdict:
        """Run the probe function and return the verdict about the API.

        Returns:
            ``SUCCESS`` if the function returns anything except ``False``. ``FAILURE`` if the function returns ``False``
            or raises. ``NONE`` if the function raises an error of this library, because then the API was not reached.
        """
        try:
            answer = self._probe()
            if inspect.isawaitable(answer):
                _close(answer)
                raise ConfigurationError("an asynchronous probe needs an asynchronous call")
        except Exception as error:  # noqa: BLE001 - after any exception the API has not shown that it works
            return _verdict_of(error)
        return Verdict.FAILURE if answer is False else Verdict.SUCCESS


class AsyncHealthCheck(_Base):
    """Run the application's probe function to find out whether the API works, for asynchronous callers.

    Args:
        probe: A function without arguments. The function returns ``False`` or raises if the API does not work. If the
            result is an awaitable, the check awaits it.

    Raises:
        ConfigurationError: ``probe`` is not callable.
    """

    async def verdict(self) -> Verdict:
        """Run the probe function and return the verdict about the API.

        Returns:
            ``SUCCESS`` if the function returns anything except ``False``. ``FAILURE`` if the function returns ``False``
            or raises. ``NONE`` if the function raises an error of this library, because then the API was not reached.
        """
        try:
            answer = self._probe()
            if isinstance(answer, Awaitable):
                answer = await answer
        except Exception as error:  # noqa: BLE001 - after any exception the API has not shown that it works
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
