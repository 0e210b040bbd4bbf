"""What the HTTP integrations share: the breaker's name for a request, which responses fail, and one call's life.

A call begins when the request is sent. A response whose status fails ends it at once. Any other response ends it when
its body has been read or closed; a body that breaks off is a failure, a reader who leaves early is not. A probe's
lease is renewed in the meantime.
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
"""The longest ``Retry-After`` that is honoured, seconds, unless a setting says otherwise."""

Statuses = Collection[int] | Callable[[int], bool]


def default_failed_status(status: int) -> bool:
    """Whether a response with this status is a failure by default: 429 and every 5xx."""
    return status == TOO_MANY_REQUESTS or status >= _SERVER_ERRORS


def origin(scheme: str, host: str, port: int | None) -> str:
    """Return the default breaker name of a request: scheme, host and port, as in ``https://api.example.com:443``."""
    return f"{scheme}://{host}:{port or _DEFAULT_PORTS.get(scheme, 0)}"


@dataclass(frozen=True)
class HttpRules:
    """The settings of one integration, checked.

    Attributes:
        name: Returns the breaker's name for a request of the client library.
        fails: Whether a response with this status is a failure.
        max_retry_after: The longest ``Retry-After`` that is honoured, seconds; 0 ignores the header.
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
        """Check the settings of an integration.

        Args:
            name: One name for every request, or a function from the request to the name. ``None`` names the breaker
                after the request's scheme, host and port.
            default_name: The function that does that for the client library.
            failed_statuses: Statuses that are failures, or a function that says so. ``None``: 429 and every 5xx.
            max_retry_after: Seconds; 0 ignores the header.

        Raises:
            ConfigurationError: A setting has the wrong type.
            InvalidPolicyError: ``max_retry_after`` is not a number of seconds.
        """
        if name is not None and not callable(name) and not isinstance(name, str):
            raise ConfigurationError(f"name must be text or a function of the request, got {type(name).__name__}")
        return cls(
            name=default_name if name is None else (lambda _: name) if isinstance(name, str) else name,
            fails=_predicate(failed_statuses),
            max_retry_after=check_seconds("max_retry_after", max_retry_after),
        )

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds a response asks callers to wait, ``None`` if it does not or the setting ignores it."""
        seconds = parse_retry_after(headers.get("retry-after"))
        return min(seconds, self.max_retry_after) if seconds and self.max_retry_after else None


class RefusedRequest(CircuitBreakerOpenError):
    """A refusal that carries the request; each integration adds the base class of its client library.

    Args:
        refused: The breaker's refusal.
        request: The request that was not sent.
    """

    def __init__(self, refused: CircuitBreakerOpenError, request: Any = None) -> None:
        super().__init__(str(refused), name=refused.name, state=refused.state, retry_after=refused.retry_after)
        self.__dict__.update(vars(refused))
        self.request = request

    def __reduce__(self) -> tuple[Any, ...]:
        # A request holds streams and connections: a pickled refusal goes without it.
        plain = CircuitBreakerOpenError(str(self), name=self.name, state=self.state, retry_after=self.retry_after)
        return type(self), (plain,)


def _predicate(statuses: Statuses | None) -> Callable[[int], bool]:
    if statuses is None:
        return default_failed_status
    if callable(statuses):
        return statuses
    if isinstance(statuses, str) or not all(isinstance(status, int) for status in statuses):
        raise ConfigurationError("failed_statuses must be numbers such as {429, 503}, or a function of the status")
    return frozenset(statuses).__contains__


def parse_retry_after(text: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110 §10.2.3): a number of seconds or an HTTP date.

    Args:
        text: The header's value.
        now: This machine's clock, Unix seconds; a date is compared with it.

    Returns:
        Seconds, at least 0.0; ``None`` if the header is missing or cannot be read.
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
    """One request to the end of its response.

    Args:
        breaker: The breaker that admits the request.
        name: The breaker's name.
        rules: The integration's settings.

    Raises:
        CircuitBreakerOpenError: The request is refused.
    """

    def __init__(self, breaker: CircuitBreaker, name: str, rules: HttpRules) -> None:
        self._breaker = breaker
        self._name = name
        self._rules = rules
        self._call: GuardedCall | None = breaker._guarded(breaker.admit(name)).__enter__()

    def received(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take the head of the response; return whether the body is still to be watched."""
        if not self._rules.fails(status):
            return True
        self.end(Verdict.FAILURE)
        seconds = self._rules.retry_after(headers)
        if seconds is not None:
            self._breaker.trip(self._name, seconds)
        return False

    def progress(self) -> None:
        """Note that a part of the response arrived: a probe's lease goes on being renewed."""
        if self._call is not None:
            self._call.progress()

    def end(self, verdict: Verdict = Verdict.SUCCESS, error: BaseException | None = None) -> None:
        """Report the outcome. Only the first report of a call counts."""
        call, self._call = self._call, None
        if call is not None:
            call.verdict = verdict
            call.__exit__(None if error is None else type(error), error, None)


class AsyncHttpCall:
    """`HttpCall` for an event loop; make it with `begin`."""

    def __init__(self, breaker: AsyncCircuitBreaker, name: str, rules: HttpRules, call: AsyncGuardedCall) -> None:
        self._breaker = breaker
        self._name = name
        self._rules = rules
        self._call: AsyncGuardedCall | None = call

    @classmethod
    async def begin(cls, breaker: AsyncCircuitBreaker, name: str, rules: HttpRules) -> AsyncHttpCall:
        """Ask for admission.

        Raises:
            CircuitBreakerOpenError: The request is refused.
        """
        call = await breaker._guarded(await breaker.admit(name)).__aenter__()
        return cls(breaker, name, rules, call)

    async def received(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take the head of the response; return whether the body is still to be watched."""
        if not self._rules.fails(status):
            return True
        await self.end(Verdict.FAILURE)
        seconds = self._rules.retry_after(headers)
        if seconds is not None:
            await self._breaker.trip(self._name, seconds)
        return False

    def progress(self) -> None:
        """Note that a part of the response arrived: a probe's lease goes on being renewed."""
        if self._call is not None:
            self._call.progress()

    async def end(self, verdict: Verdict = Verdict.SUCCESS, error: BaseException | None = None) -> None:
        """Report the outcome. Only the first report of a call counts."""
        call, self._call = self._call, None
        if call is not None:
            call.verdict = verdict
            await call.__aexit__(None if error is None else type(error), error, None)

    def end_soon(self, verdict: Verdict = Verdict.SUCCESS) -> None:
        """Report the outcome in a task, from a callback that cannot await."""
        if self._call is not None and asyncio.get_event_loop().is_running():
            in_background(self.end(verdict))
