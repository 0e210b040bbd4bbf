"""The circuit breaker for calls to one language model API."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

from cbstore_sql.llm.attempts import Attempts
from cbstore_sql.llm.by_hand import ByHand
from cbstore_sql.llm.by_hand_async import ByHandAsync
from cbstore_sql.llm.follow_up import FollowUp
from cbstore_sql.llm.follow_up_async import AsyncFollowUp
from cbstore_sql.llm.health import AsyncHealthCheck, HealthCheck
from cbstore_sql.llm.retry import Retries
from cbstore_sql.llm.retry_async import AsyncRetries
from cbstore_sql.llm.stream import GuardedStream
from cbstore_sql.llm.stream_async import AsyncGuardedStream

T = TypeVar("T")


class LLMCircuitBreaker(ByHand, ByHandAsync):
    """A circuit breaker for the calls to one language model API, with retries.

    With a shared store, all processes of a fleet share the circuit. Without a store, the circuit is local to this
    object.

    There are two ways to use the breaker:

    * `call_with_retry` makes a call and its retries. `stream` makes a call whose answer comes in chunks. Both are
      asynchronous. `call_with_retry_sync` and `stream_sync` are for callers that block.
    * `should_block` admits or rejects a call. After an admitted call, the caller reports the outcome with
      `record_success` or `record_failure`. These three methods block; `should_block_async`, `record_success_async` and
      `record_failure_async` are asynchronous. If the store fails, all of them raise the store's error.

    The breaker remembers the permit from `should_block` for the current thread or asyncio task, and for the tasks that
    this thread or task starts. To report from a different thread or task, pass `permit`. While the circuit is
    half_open, only the report of the caller that owns the probe has an effect.

    Many threads and event loops may use one breaker at the same time.

    `LLMBreakerBase` describes the arguments.
    """

    async def call_with_retry(
        self, coro_factory: Callable[[], Awaitable[T]], *, max_retries: int = 3, agent_id: str | None = None
    ) -> T:
        """Make a call. If the call fails and a retry may succeed, make the call again.

        If the API asks for a wait of at most ``retry_after_threshold_seconds``, this method waits and tries again. A
        longer wait opens the circuit for the time of the wait. A used-up quota also opens the circuit. The following
        failures count, and this method tries again after a pause: a rate limit without a time, an overload, a
        transient status, a timeout, and a connection error. This method raises any other exception at once, and the
        exception does not count.

        Args:
            coro_factory: A function without arguments that starts one attempt. The breaker awaits the result.
            max_retries: The largest number of attempts, including the first attempt; at least 1.
            agent_id: A label for the log lines of this call; ``None`` for no label.

        Returns:
            The answer of the API, even if the breaker could not report the success to the store. If no attempt is left
            and the last answer is a 200 with an error in the body, the return value is that answer.

        Raises:
            CircuitBreakerOpenError: The breaker rejected an attempt.
            InvalidPolicyError: ``max_retries`` is not a whole number of at least 1.
            Exception: The exception of the last attempt, if the call failed.
        """
        if not self.config.enabled:
            return await coro_factory()
        return await AsyncRetries(self._follow_up(max_retries, agent_id), coro_factory).answer()

    def call_with_retry_sync(self, factory: Callable[[], T], *, max_retries: int = 3, agent_id: str | None = None) -> T:
        """Make a call. If the call fails and a retry may succeed, make the call again; see `call_with_retry`.

        Args:
            factory: A function without arguments that makes one attempt and returns the answer.
            max_retries: The largest number of attempts, including the first attempt; at least 1.
            agent_id: A label for the log lines of this call; ``None`` for no label.

        Returns:
            The answer of the API, even if the breaker could not report the success to the store. If no attempt is left
            and the last answer is a 200 with an error in the body, the return value is that answer.

        Raises:
            CircuitBreakerOpenError: The breaker rejected an attempt.
            InvalidPolicyError: ``max_retries`` is not a whole number of at least 1.
            ConfigurationError: The store is an `AsyncStore`.
            Exception: The exception of the last attempt, if the call failed.
        """
        if not self.config.enabled:
            return factory()
        return Retries(self._follow_up_sync(max_retries, agent_id), factory).answer()

    def stream(
        self, open_stream: Callable[[], Any], *, max_retries: int = 1, agent_id: str | None = None
    ) -> AsyncGuardedStream:
        """Guard a call whose answer comes in chunks: ``async with breaker.stream(ask) as chunks: ...``.

        Entering the context manager opens the stream. Entering raises `CircuitBreakerOpenError` if the breaker rejects
        the call, and the exception of ``open_stream`` if the last attempt fails.

        Args:
            open_stream: A function without arguments that opens the stream. The function returns an asynchronous
                iterable, an asynchronous context manager that yields an asynchronous iterable, or an awaitable of
                either.
            max_retries: The largest number of attempts to open the stream, including the first attempt; at least 1.
                After the stream is open, the breaker repeats nothing.
            agent_id: A label for the log lines of this call; ``None`` for no label.

        Returns:
            An asynchronous context manager and iterator of the chunks.

        Raises:
            InvalidPolicyError: ``max_retries`` is not a whole number of at least 1.
        """
        return AsyncGuardedStream(self._follow_up(max_retries, agent_id), open_stream)

    def stream_sync(
        self, open_stream: Callable[[], Any], *, max_retries: int = 1, agent_id: str | None = None
    ) -> GuardedStream:
        """Guard a call whose answer comes in chunks: ``with breaker.stream_sync(ask) as chunks: ...``.

        Entering the context manager opens the stream and raises the same exceptions as entering `stream`.

        Args:
            open_stream: A function without arguments that opens the stream. The function returns an iterable, or a
                context manager that yields an iterable.
            max_retries: The largest number of attempts to open the stream, including the first attempt; at least 1.
                After the stream is open, the breaker repeats nothing.
            agent_id: A label for the log lines of this call; ``None`` for no label.

        Returns:
            A context manager and iterator of the chunks.

        Raises:
            InvalidPolicyError: ``max_retries`` is not a whole number of at least 1.
            ConfigurationError: The store is an `AsyncStore`.
        """
        return GuardedStream(self._follow_up_sync(max_retries, agent_id), open_stream)

    def guard_stream(self, function: Callable[..., Any], *, max_retries: int = 1) -> Callable[..., Any]:
        """Decorate a function that returns a stream, so that the breaker guards each stream; see `stream`.

        Args:
            function: A generator function or a function that returns an iterable. The function may be asynchronous.
            max_retries: The largest number of attempts to open each stream, including the first attempt; at least 1.

        Returns:
            An asynchronous generator function if ``function`` is asynchronous, otherwise a generator function. A caller
            that stops reading early should close the generator (``contextlib.aclosing``). Closing the generator
            releases a probe at once.
        """
        if inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def chunks_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                async with self.stream(lambda: function(*args, **kwargs), max_retries=max_retries) as chunks:
                    async for chunk in chunks:
                        yield chunk

            return chunks_async

        @functools.wraps(function)
        def chunks_sync(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with self.stream_sync(lambda: function(*args, **kwargs), max_retries=max_retries) as chunks:
                yield from chunks

        return chunks_sync

    def _follow_up(self, max_retries: int, agent_id: str | None) -> AsyncFollowUp:
        health = None if self._probe is None else AsyncHealthCheck(self._probe)
        attempts = self._attempts(max_retries, agent_id)
        return AsyncFollowUp(self._awaited, attempts, self._sleep or asyncio.sleep, health)

    def _follow_up_sync(self, max_retries: int, agent_id: str | None) -> FollowUp:
        health = None if self._probe is None else HealthCheck(self._probe)
        attempts: Attempts = self._attempts(max_retries, agent_id)
        return FollowUp(self._sync_breaker, attempts, self._sleep_sync or time.sleep, health)
