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
    """Guards the calls to one API, in this process or, over a shared store, in a fleet.

    `call_with_retry` makes a call with its retries, `stream` a call whose answer comes in chunks; both are awaited, and
    have a twin that ends in ``_sync`` for callers that block. Callers who cannot use them ask `should_block` and then
    report with `record_success` or `record_failure`; these have twins that end in ``_async``. A half-open circuit takes
    only the report of the caller whose call is the probe. A caller is a thread or an asyncio task, and what it starts;
    one that asks in one and reports in another carries `permit` along. Reports by hand raise what the store raises.

    Safe to use from many threads and event loops.

    The arguments are those of `LLMBreakerBase`.
    """

    async def call_with_retry(
        self, coro_factory: Callable[[], Awaitable[T]], *, max_retries: int = 3, agent_id: str | None = None
    ) -> T:
        """Make a call, and make it again where that may help.

        A short wait that the API asks for is waited out, a long one opens the circuit for its time. Rate limits that do
        not say how long, overloads, transient statuses, timeouts and connection errors count as failures and are tried
        again after a pause. Everything else is raised at once and does not count.

        Args:
            coro_factory: Called without arguments for each attempt; what it returns is awaited.
            max_retries: How many attempts are made at most, the first included; at least 1.
            agent_id: For the log.

        Returns:
            The answer, whatever happens to the report about it. An error in the body of a 200 is returned when no
            attempt is left.

        Raises:
            CircuitBreakerOpenError: An attempt was rejected.
            InvalidPolicyError: ``max_retries`` is not such a number.
        """
        if not self.config.enabled:
            return await coro_factory()
        return await AsyncRetries(self._follow_up(max_retries, agent_id), coro_factory).answer()

    def call_with_retry_sync(self, factory: Callable[[], T], *, max_retries: int = 3, agent_id: str | None = None) -> T:
        """Make a call, and make it again where that may help; see `call_with_retry`.

        Args:
            factory: Called without arguments for each attempt.
            max_retries: How many attempts are made at most, the first included; at least 1.
            agent_id: For the log.

        Raises:
            CircuitBreakerOpenError: An attempt was rejected.
            InvalidPolicyError: ``max_retries`` is not such a number.
            ConfigurationError: The store is an `AsyncStore`.
        """
        if not self.config.enabled:
            return factory()
        return Retries(self._follow_up_sync(max_retries, agent_id), factory).answer()

    def stream(
        self, open_stream: Callable[[], Any], *, max_retries: int = 1, agent_id: str | None = None
    ) -> AsyncGuardedStream:
        """Guard a call whose answer comes in chunks: ``async with breaker.stream(ask) as chunks: ...``.

        Args:
            open_stream: Called without arguments to open the stream. It returns an asynchronous iterator, a context
                manager of one, or an awaitable of either.
            max_retries: How often the stream is opened at most. Once it is open nothing is repeated.
            agent_id: For the log.

        Raises:
            InvalidPolicyError: ``max_retries`` is not such a number. Entering raises what opening raises, and
                `CircuitBreakerOpenError`.
        """
        return AsyncGuardedStream(self._follow_up(max_retries, agent_id), open_stream)

    def stream_sync(
        self, open_stream: Callable[[], Any], *, max_retries: int = 1, agent_id: str | None = None
    ) -> GuardedStream:
        """Guard a call whose answer comes in chunks: ``with breaker.stream_sync(ask) as chunks: ...``.

        Args:
            open_stream: Called without arguments to open the stream. It returns an iterable or a context manager of
                one.
            max_retries: See `stream`.
            agent_id: For the log.

        Raises:
            InvalidPolicyError: See `stream`.
            ConfigurationError: The store is an `AsyncStore`.
        """
        return GuardedStream(self._follow_up_sync(max_retries, agent_id), open_stream)

    def guard_stream(self, function: Callable[..., Any], *, max_retries: int = 1) -> Callable[..., Any]:
        """Decorate a function that returns a stream so that each of its streams is guarded; see `stream`.

        Args:
            function: A generator function, or a function that returns an iterable; asynchronous or not.
            max_retries: See `stream`.

        Returns:
            An asynchronous generator function for an asynchronous function, otherwise a generator function. A generator
            that is left early should be closed (``contextlib.aclosing``), so that its probe is given back at once.
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
