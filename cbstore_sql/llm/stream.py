"""A guarded stream for callers that block: one call whose answer comes in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic
from types import TracebackType
from typing import Any

from cbstore_sql.breaker.guard import GuardedCall
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.llm.attempts import FailedAttempt
from cbstore_sql.llm.chunks import failure_in_chunk
from cbstore_sql.llm.follow_up import FollowUp


class GuardedStream:
    """Read the chunks of one guarded call, and report the outcome of the call to the breaker.

    `LLMCircuitBreaker.stream_sync` and `LLMRouter.stream` return this object.

    Open the stream with ``with`` and read the chunks with ``for``. Opening may take several attempts. After the stream
    is open, the breaker repeats nothing. If the reader reads the stream to its end, the call is a success. If the
    stream raises or contains an error chunk, the call is a failure, provided that the settings count the error. If the
    reader stops early or raises, the call counts neither as a success nor as a failure.

    The stream renews the lease of a probe while the reader reads. If the reader asks for no chunk for one whole lease,
    the stream stops renewing, and another caller may get the probe.

    Args:
        follow_up: The object that asks the breaker to admit each attempt, and waits or opens the circuit after a
            failure.
        open_stream: A function that opens the stream. The function returns an iterable, or a context manager that
            yields an iterable.
    """

    def __init__(self, follow_up: FollowUp, open_stream: Callable[[], Any]) -> None:
        self._follow_up = follow_up
        self._attempts = follow_up.attempts
        self._open_stream = open_stream
        self._call: GuardedCall | None = None
        self._waiting = True
        self._alive = monotonic()

    def __enter__(self) -> GuardedStream:
        self._attempts.budget.call_made()
        while True:
            failed = self._opened()
            if failed is None:
                return self
            if not self._follow_up.tries_again(failed.decision):
                failed.end()
            self._follow_up.pause(failed.decision)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._source.__exit__(None, None, None)
        finally:
            self._ended(Verdict.NONE)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._waiting = True
        try:
            chunk = self._chunks.__next__()
        except StopIteration:
            self._ended(Verdict.SUCCESS)
            raise
        except Exception as error:
            self._broke(self._attempts.broke(error))
            raise
        finally:
            self._waiting = False
            self._alive = monotonic()
        if self._call is not None:
            self._call.progress()
        failure = failure_in_chunk(chunk, self._attempts.config)
        if failure is not None:
            self._broke(failure)
        return chunk

    def _opened(self) -> FailedAttempt | None:
        """Make one attempt to open the stream. Return the failed attempt if opening raised, otherwise ``None``."""
        self._source = ExitStack()
        if not self._attempts.config.enabled:
            self._chunks = self._chunks_of(self._open_stream())
            return None
        call = self._follow_up.admitted(self._renew)
        call.__enter__()
        began = self._attempts.begin()
        try:
            self._chunks = self._chunks_of(self._open_stream())
        except BaseException as error:
            failed = self._attempts.raised(error, began) if isinstance(error, Exception) else None
            call.verdict = Verdict.NONE if failed is None else failed.verdict
            call.__exit__(None, None, None)
            if failed is None:
                raise
            return failed
        self._attempts.opened(began)
        self._call = call
        self._waiting = False
        return None

    def _chunks_of(self, source: Any) -> Iterator[Any]:
        if not hasattr(source, "__iter__"):
            source = self._source.enter_context(source)
        elif hasattr(source, "close"):
            self._source.callback(source.close)
        chunks: Iterator[Any] = iter(source)
        return chunks

    def _renew(self, permit: Permit) -> bool:
        """Renew the lease of the probe; return ``False`` if the reader has asked for no chunk for a whole lease."""
        if not self._waiting and monotonic() - self._alive > self._attempts.config.probe_lease_seconds:
            return False
        return self._follow_up.renewed(permit)

    def _broke(self, failed: FailedAttempt) -> None:
        if self._call is not None:
            self._ended(failed.verdict)
            self._follow_up.follow(failed.decision)

    def _ended(self, verdict: Verdict) -> None:
        """Report the verdict to the breaker. Only the first call of this method reports."""
        call, self._call = self._call, None
        if call is not None:
            call.verdict = verdict
            call.__exit__(None, None, None)
