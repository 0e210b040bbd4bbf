"""A guarded stream for asynchronous callers: one call whose answer comes in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from time import monotonic
from types import TracebackType
from typing import Any

from cbstore_sql.breaker.guard_async import AsyncGuardedCall
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.llm.attempts import FailedAttempt
from cbstore_sql.llm.chunks import failure_in_chunk
from cbstore_sql.llm.follow_up_async import AsyncFollowUp


class AsyncGuardedStream:
    """Read the chunks of one guarded asynchronous call, and report the outcome of the call to the breaker.

    `LLMCircuitBreaker.stream` and `AsyncLLMRouter.stream` return this object.

    Open the stream with ``async with`` and read the chunks with ``async for``. Opening may take several attempts. After
    the stream is open, the breaker repeats nothing. If the reader reads the stream to its end, the call is a success.
    If the stream raises or contains an error chunk, the call is a failure, provided that the settings count the error.
    If the reader stops early or raises, the call counts neither as a success nor as a failure.

    The stream renews the lease of a probe while the reader reads. If the reader asks for no chunk for one whole lease,
    the stream stops renewing, and another caller may get the probe.

    Args:
        follow_up: The object that asks the breaker to admit each attempt, and waits or opens the circuit after a
            failure.
        open_stream: A function that opens the stream. The function returns an asynchronous iterable, an asynchronous
            context manager that yields an asynchronous iterable, or an awaitable of either.
    """

    def __init__(self, follow_up: AsyncFollowUp, open_stream: Callable[[], Any]) -> None:
        self._follow_up = follow_up
        self._attempts = follow_up.attempts
        self._open_stream = open_stream
        self._call: AsyncGuardedCall | None = None
        self._waiting = True
        self._alive = monotonic()

    async def __aenter__(self) -> AsyncGuardedStream:
        self._attempts.budget.call_made()
        while True:
            failed = await self._opened()
            if failed is None:
                return self
            if not await self._follow_up.tries_again(failed.decision):
                failed.end()
            await self._follow_up.pause(failed.decision)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self._source.__aexit__(None, None, None)
        finally:
            await self._ended(Verdict.NONE)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self._waiting = True
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            await self._ended(Verdict.SUCCESS)
            raise
        except Exception as error:
            await self._broke(self._attempts.broke(error))
            raise
        finally:
            self._waiting = False
            self._alive = monotonic()
        if self._call is not None:
            self._call.progress()
        failure = failure_in_chunk(chunk, self._attempts.config)
        if failure is not None:
            await self._broke(failure)
        return chunk

    async def _opened(self) -> FailedAttempt | None:
        """Make one attempt to open the stream. Return the failed attempt if opening raised, otherwise ``None``."""
        self._source = AsyncExitStack()
        if not self._attempts.config.enabled:
            self._chunks = await self._chunks_of(self._open_stream())
            return None
        call = await self._follow_up.admitted(self._renew)
        await call.__aenter__()
        began = self._attempts.begin()
        try:
            self._chunks = await self._chunks_of(self._open_stream())
        except BaseException as error:
            failed = self._attempts.raised(error, began) if isinstance(error, Exception) else None
            call.verdict = Verdict.NONE if failed is None else failed.verdict
            await call.__aexit__(None, None, None)
            if failed is None:
                raise
            return failed
        self._attempts.opened(began)
        self._call = call
        self._waiting = False
        return None

    async def _chunks_of(self, opened: Any) -> AsyncIterator[Any]:
        source = await opened if isinstance(opened, Awaitable) else opened
        if not hasattr(source, "__aiter__"):
            source = await self._source.enter_async_context(source)
        elif hasattr(source, "aclose"):
            self._source.push_async_callback(source.aclose)
        elif hasattr(source, "close"):
            self._source.push_async_callback(_closed, source)
        chunks: AsyncIterator[Any] = source.__aiter__()
        return chunks

    async def _renew(self, permit: Permit) -> bool:
        """Renew the lease of the probe; return ``False`` if the reader has asked for no chunk for a whole lease."""
        if not self._waiting and monotonic() - self._alive > self._attempts.config.probe_lease_seconds:
            return False
        return await self._follow_up.renewed(permit)

    async def _broke(self, failed: FailedAttempt) -> None:
        if self._call is not None:
            await self._ended(failed.verdict)
            await self._follow_up.follow(failed.decision)

    async def _ended(self, verdict: Verdict) -> None:
        """Report the verdict to the breaker. Only the first call of this method reports."""
        call, self._call = self._call, None
        if call is not None:
            call.verdict = verdict
            await call.__aexit__(None, None, None)


async def _closed(source: Any) -> None:
    closing = source.close()
    if isinstance(closing, Awaitable):
        await closing
