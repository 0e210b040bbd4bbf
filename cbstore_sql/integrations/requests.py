"""A transport adapter for requests that sends each request only if a circuit breaker admits it.

::

    import requests
    from cbstore_sql import CircuitBreaker, SqlStore
    from cbstore_sql.integrations.requests import BreakerAdapter

    session = requests.Session()
    adapter = BreakerAdapter(CircuitBreaker(SqlStore("postgresql://…")))
    session.mount("https://", adapter)
    session.mount("http://", adapter)

Each scheme, host and port has a breaker of that name. A refused request raises `CircuitOpenRequestError`, which is both
a ``requests.RequestException`` and a `CircuitBreakerOpenError`. It is neither a ``ConnectionError`` nor a ``Timeout``,
so retry rules for these two do not retry a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from cbstore_sql.breaker.arguments import check_breaker
from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.extras import needs_extra
from cbstore_sql.integrations._http import (
    DEFAULT_MAX_RETRY_AFTER,
    HttpCall,
    HttpRules,
    RefusedRequest,
    Statuses,
    origin,
)

with needs_extra("cbstore_sql.integrations.requests", "requests"):
    import requests
    from requests.adapters import BaseAdapter, HTTPAdapter

__all__ = ["BreakerAdapter", "CircuitOpenRequestError"]


class CircuitOpenRequestError(RefusedRequest, requests.RequestException):
    """The error for a request that the circuit refused. Nothing was sent."""


class BreakerAdapter(BaseAdapter):
    """A ``requests`` adapter that sends each request only if a breaker admits it.

    Args:
        breaker: The breaker. One object serves any number of hosts.
        adapter: The adapter that sends the request; ``None`` means ``HTTPAdapter()``.
        name: One breaker name for all requests, or a function that returns the name for a ``PreparedRequest``. ``None``
            means scheme, host and port.
        failed_statuses: The statuses that are failures, or a function that returns whether a status is a failure.
            ``None`` means 429 and every 5xx.
        max_retry_after: The longest ``Retry-After`` of a failed response that the breaker obeys, in seconds. During
            this time the circuit is open for every process. 0 means that the header is ignored.

    Raises:
        ConfigurationError: ``breaker``, ``name`` or ``failed_statuses`` has the wrong type.
        InvalidPolicyError: ``max_retry_after`` is negative or not a finite number.
    """

    def __init__(
        self,
        breaker: CircuitBreaker,
        adapter: BaseAdapter | None = None,
        *,
        name: str | Callable[[requests.PreparedRequest], str] | None = None,
        failed_statuses: Statuses | None = None,
        max_retry_after: float = DEFAULT_MAX_RETRY_AFTER,
    ) -> None:
        super().__init__()
        self._breaker = check_breaker(breaker, CircuitBreaker)
        self._adapter = HTTPAdapter() if adapter is None else adapter
        self._rules = HttpRules.of(name, _name_of, failed_statuses, max_retry_after)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request if the circuit admits it.

        Args:
            request: The request.
            *args: Further positional arguments for the inner adapter.
            **kwargs: Further keyword arguments for the inner adapter.

        Raises:
            CircuitOpenRequestError: The circuit refused the request; nothing was sent.
        """
        try:
            call = HttpCall(self._breaker, self._rules.name(request), self._rules)
        except CircuitBreakerOpenError as refused:
            raise CircuitOpenRequestError(refused, request) from None
        try:
            response = self._adapter.send(request, *args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        if call.received(response.status_code, response.headers):
            response.raw = _WatchedBody(response.raw, call)
        return response

    def close(self) -> None:
        """Close the inner adapter. This method does not close the breaker."""
        self._adapter.close()


class _WatchedBody:
    """A wrapper of the urllib3 response that reports the outcome of the call.

    All other attributes are those of the urllib3 response.
    """

    def __init__(self, raw: Any, call: HttpCall) -> None:
        self._raw = raw
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Read the body chunk by chunk, as ``requests`` does."""
        try:
            for chunk in self._raw.stream(*args, **kwargs):
                self._call.progress()
                yield chunk
        except Exception as error:
            self._call.end(error=error)
            raise
        self._call.end()

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read from the raw body, as users of ``response.raw`` do."""
        try:
            data: bytes = self._raw.read(*args, **kwargs)
        except Exception as error:
            self._call.end(error=error)
            raise
        self._call.progress()
        if self._raw.closed or not data:
            self._call.end()
        return data

    def close(self) -> None:
        """Close the body and end the call. A reader that stops early does not make the call a failure."""
        try:
            self._raw.close()
        finally:
            self._call.end()

    def release_conn(self) -> None:
        """Give the connection back to its pool and end the call."""
        try:
            self._raw.release_conn()
        finally:
            self._call.end()


def _name_of(request: requests.PreparedRequest) -> str:
    url = urlsplit(request.url or "")
    return origin(url.scheme, url.hostname or "", url.port)
