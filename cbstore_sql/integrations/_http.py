"""The common part of the HTTP integrations: names, failed statuses, and the report of one call.

A call begins when the request is sent. A response with a failed status ends the call at once. Any other response ends
the call when its body has been read or closed. If the body breaks off, the call is a failure. If the reader
stops early, the call is not a failure. The breaker renews a probe's lease until the call ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.breaker.circuit_breaker_async import AsyncCircuitBreaker
from cbstore_sql.breaker.guard import GuardedCall
from cbstore_sql.breaker.guard_async import AsyncGuardedCall
from cbstore_sql.core.model import Verdict
from cbstore_sql.core.validation import check_seconds
from cbstore_sql.errors import CircuitBreakerOpenError, ConfigurationError
from cbstore_sql.runtime.tasks import in_background

TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_DEFAULT_PORTS = {"http": 80, "https": 443}

DEFAULT_MAX_RETRY_AFTER = 3600.0
"""The default of ``max_retry_after``: the longest ``Retry-After`` that a breaker obeys, in seconds."""

Statuses = Collection[int] | Callable[[int], bool]


def default_failed_status(status: int) -> bool:
    """Return whether an HTTP status is a failure if the user names no statuses: 429 and every status from 500."""
    return status == TOO_MANY_REQUESTS or status >= _SERVER_ERRORS


def origin(scheme: str, host: str, port: int | None) -> str:
    """Return the default breaker name of a request: scheme, host and port, as in ``https://api.example.com:443``.

    Args:
        scheme: The scheme of the URL.
        host: The host of the URL.
        port: The port of the URL; ``None`` or 0 means the default port of the scheme.
    """
    return f"{scheme}://{host}:{port or _DEFAULT_PORTS.get(scheme, 0)}"


@dataclass(frozen=True)
class HttpRules:
    """The checked settings of one HTTP integration.

    Attributes:
        name: A function that returns the breaker name for a request of the client library.
        fails: A function that returns whether a response with a status is a failure.
        max_retry_after: The longest ``Retry-After`` that the breaker obeys, in seconds; 0 means that the header is
            ignored.
    """

    name: Callable[[Any], str]
    fails: Callable[[int], bool]
    max_retry_after: float

    @classmethod
    def of(
        cls,
        name: str | Callable[[Any], str] | None,
        default_name: Callable[[Any], str],
        failed_statuses: Statuses | None,
        max_retry_after: float,
    ) -> HttpRules:
        """Check the settings of an integration and return them as `HttpRules`.

        Args:
            name: One breaker name for all requests, or a function that returns the name for a request. ``None`` means
                that ``default_name`` returns the name.
            default_name: A function that returns scheme, host and port of a request of the client library.
            failed_statuses: The statuses that are failures, or a function that returns whether a status is a failure.
                ``None`` means 429 and every 5xx.
            max_retry_after: The longest ``Retry-After`` that the breaker obeys, in seconds; 0 means that the header is
                ignored.

        Raises:
            ConfigurationError: ``name`` or ``failed_statuses`` has the wrong type.
            InvalidPolicyError: ``max_retry_after`` is negative or not a finite number.
        """
        if name is not None and not callable(name) and not isinstance(name, str):
            raise ConfigurationError(f"name must be text or a function of the request, got {type(name).__name__}")
        return cls(
            name=default_name if name is None else (lambda _: name) if isinstance(name, str) else name,
            fails=_predicate(failed_statuses),
            max_retry_after=check_seconds("max_retry_after", max_retry_after),
        )

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Return how many seconds the response tells clients to wait, at most ``max_retry_after``.

        Args:
            headers: The headers of the response.

        Returns:
            Seconds. ``None`` if the response has no valid ``Retry-After``, the value is 0, or ``max_retry_after`` is 0.
        """
        seconds = parse_retry_after(headers.get("retry-after"))
        return min(seconds, self.max_retry_after) if seconds and self.max_retry_after else None


class RefusedRequest(CircuitBreakerOpenError):
    """The error for a request that a breaker refused. Its attribute ``request`` is that request.

    Each integration makes a subclass that also inherits from an exception class of the client library.

    Args:
        refused: The exception that the breaker raised.
        request: The request that was not sent.
    """

    def __init__(self, refused: CircuitBreakerOpenError, request: Any = None) -> None:
        super().__init__(str(refused), name=refused.name, state=refused.state, retry_after=refused.retry_after)
        self.__dict__.update(vars(refused))
        self.request = request

    def __reduce__(self) -> tuple[Any, ...]:
        # A request contains streams and connections, so a pickled refusal omits the request.
        plain = CircuitBreakerOpenError(str(self), name=self.name, state=self.state, retry_after=self.retry_after)
        return type(self), (plain,)


def _predicate(statuses: Statuses | None) -> Callable[[int], bool]:
    """Check ``failed_statuses`` and return a function that returns whether a status is a failure."""
    if statuses is None:
        return default_failed_status
    if callable(statuses):
        return statuses
    if isinstance(statuses, str) or not all(isinstance(status, int) for status in statuses):
        raise ConfigurationError("failed_statuses must be numbers such as {429, 503}, or a function of the status")
    return frozenset(statuses).__contains__


def parse_retry_after(text: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Parse a ``Retry-After`` header (RFC 9110 §10.2.3): a number of seconds or an HTTP date.

    Args:
        text: The header's value; ``None`` if the header is missing.
        now: A function that returns the current time in Unix seconds. It is used only if the header is a date.

    Returns:
        Seconds, at least 0.0; ``None`` if the header is missing or invalid.
    """
    if not text:
        return None
    text = text.strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, OverflowError):
        return None


class HttpCall:
    """One HTTP request that a breaker guards. The constructor asks the breaker for admission.

    The integration must report each step: `received`, then `progress` for each part of the body, then `end`.

    Args:
        breaker: The breaker that admits the request and receives the outcome.
        name: The breaker's name.
        rules: The integration's settings.

    Raises:
        CircuitBreakerOpenError: The breaker refused the request.
    """

    def __init__(self, breaker: CircuitBreaker, name: str, rules: HttpRules) -> None:
        self._breaker = breaker
        self._name = name
        self._rules = rules
        self._call: GuardedCall | None = breaker._guarded(breaker.admit(name)).__enter__()

    def received(self, status: int, headers: Mapping[str, str]) -> bool:
        """Handle the status and the headers of the response.

        A failed status ends the call as a failure. If the failed response has a ``Retry-After`` that the breaker obeys,
        this method also opens the circuit for that time.

        Args:
            status: The status of the response.
            headers: The headers of the response.

        Returns:
            ``True`` if the call goes on until the end of the body, ``False`` if the call has ended.
        """
        if not self._rules.fails(status):
            return True
        self.end(Verdict.FAILURE)
        seconds = self._rules.retry_after(headers)
        if seconds is not None:
            self._breaker.trip(self._name, seconds)
        return False

    def progress(self) -> None:
        """Record that a part of the response arrived, so that the breaker goes on renewing a probe's lease."""
        if self._call is not None:
            self._call.progress()

    def end(self, verdict: Verdict = Verdict.SUCCESS, error: BaseException | None = None) -> None:
        """Report the outcome of the call. Only the first report of a call counts.

        Args:
            verdict: The verdict on the call: success, failure, or none. The verdict is not used with an ``error``.
            error: The exception that ended the call, which the breaker classifies; ``None`` if there is no exception.
        """
        call, self._call = self._call, None
        if call is not None:
            call.verdict = verdict
            call.__exit__(None if error is None else type(error), error, None)


class AsyncHttpCall:
    """One HTTP request that a breaker guards, for an event loop. Make the object with `begin`; see `HttpCall`."""

    def __init__(self, breaker: AsyncCircuitBreaker, name: str, rules: HttpRules, call: AsyncGuardedCall) -> None:
        self._breaker = breaker
        self._name = name
        self._rules = rules
        self._call: AsyncGuardedCall | None = call

    @classmethod
    async def begin(cls, breaker: AsyncCircuitBreaker, name: str, rules: HttpRules) -> AsyncHttpCall:
        """Ask the breaker for admission of a request, and return the guarded request.

        Args:
            breaker: The breaker that admits the request.
            name: The breaker's name.
            rules: The integration's settings.

        Raises:
            CircuitBreakerOpenError: The breaker refused the request.
        """
        call = await breaker._guarded(await breaker.admit(name)).__aenter__()
        return cls(breaker, name, rules, call)

    async def received(self, status: int, headers: Mapping[str, str]) -> bool:
        """Handle the status and the headers of the response; see `HttpCall.received`.

        A failed status ends the call as a failure. The breaker obeys a ``Retry-After`` of such a response.

        Returns:
            ``True`` if the call goes on until the end of the body, ``False`` if the call has ended.
        """
        if not self._rules.fails(status):
            return True
        await self.end(Verdict.FAILURE)
        seconds = self._rules.retry_after(headers)
        if seconds is not None:
            await self._breaker.trip(self._name, seconds)
        return False

    def progress(self) -> None:
        """Record that a part of the response arrived, so that the breaker goes on renewing a probe's lease."""
        if self._call is not None:
            self._call.progress()

    async def end(self, verdict: Verdict = Verdict.SUCCESS, error: BaseException | None = None) -> None:
        """Report the outcome of the call. Only the first report counts; see `HttpCall.end`."""
        call, self._call = self._call, None
        if call is not None:
            call.verdict = verdict
            await call.__aexit__(None if error is None else type(error), error, None)

    def end_soon(self, verdict: Verdict = Verdict.SUCCESS) -> None:
        """Report the outcome in a new task, for a callback that cannot await. Without a running loop, do nothing.

        Args:
            verdict: The verdict on the call: success, failure, or none.
        """
        if self._call is not None and asyncio.get_event_loop().is_running():
            in_background(self.end(verdict))
